/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* kept_kit: a sink with a journal in the scratch folder, and its leftovers. */
#ifndef TEST_KEPT_KIT_H
#define TEST_KEPT_KIT_H

#include "scratch.h"
#include "sink/image.h"

#define PAGE 4096u
#define DIR_OUT SCRATCH "/out"
#define OUT DIR_OUT "/ram"
#define PARTIAL OUT ".partial"
#define JOURNAL OUT ".journal"

static const char words[] = "a journal's bytes are the caller's";
static struct pt_layout *layout;

static inline int out_begin(void **state)
{
	(void)state;
	if (system("umount " DIR_OUT " 2>/dev/null; rm -rf " DIR_OUT))
		return -1;
	return mkdir(DIR_OUT, 0700);
}

static inline struct pt_sink *make(void)
{
	struct pt_error err = { 0 };
	struct pt_sink *s = NULL;

	if (pt_image_create(&s, OUT, layout, &err) ||
	    pt_image_journal_write(s, words, sizeof(words), &err))
		fail_msg("%s", err.text);
	return s;
}

/* leave: a receiver with 'x' at the start of page 1 was killed. */
static inline void leave(void)
{
	struct pt_sink *s = make();

	pt_image_page(s, 1)[0] = 'x';
	pt_sink_close(s);
}

/* kept_start is called once, from main(). */
static inline int kept_start(void)
{
	static const struct pt_segment seg = { "ram", 0, 3 * PAGE + 5 };

	return scratch_mount() || pt_layout_create(&layout, &seg, 1, NULL);
}

#endif
