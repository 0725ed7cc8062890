/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* template_kit: templates of a test's own folder, made without a command. */
#ifndef TEST_TEMPLATE_KIT_H
#define TEST_TEMPLATE_KIT_H

#include "scratch.h"

#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "memory/layout.h"
#include "sink/sink.h"
#include "sink/sink_run.h"
#include "template/make.h"
#include "template/template.h"

#define FOLDER	SCRATCH "/templates"
#define SZ	(5ULL << 20)	/* of the memory; two whole units and a half */
#define WORD	0x1234567890abcdefULL

/* The public header's names are those of the rooms, too. */
struct api_error {
	int code, class_;
	char text[512], hint[512];
};
struct api_template_opts {
	size_t sz;
	const char *folder;
};
int pt_template_map(void **addr, uint64_t *sz, const char *name,
		    const struct api_template_opts *opts, struct api_error *err);

static const struct api_template_opts here = { sizeof(here), FOLDER };
static struct pt_error err;

static inline struct pt_template_make *begin(const char *name)
{
	struct pt_template_make *m;
	int code = pt_template_make_begin(&m, FOLDER, name, PT_TEMPLATE_LARGE_DATA,
					  &err);

	if (code)
		fail_msg("%s: %d: %s", name, code, err.text);
	return m;
}

static inline struct pt_layout *layout_make(__u64 sz)
{
	const struct pt_segment seg = { "memory", 0, sz };
	struct pt_layout *layout;

	assert_int_equal(pt_layout_create(&layout, &seg, 1, &err), 0);
	return layout;
}

/* place writes WORD + the page's number to each fourth page. */
static inline void place(struct pt_sink *sink)
{
	static struct pt_sink_run run;

	for (__u64 page = 0; page < SZ / PT_PAGE_SZ; page += 4) {
		__u64 bytes[PT_PAGE_SZ / 8] = { WORD + page };

		assert_int_equal(pt_sink_run_add(&run, sink, page * PT_PAGE_SZ, bytes,
						 PT_PAGE_SZ, &err), 0);
		assert_int_equal(pt_sink_run_flush(&run, &err), 0);
	}
}

static inline void commit(struct pt_template_make *m)
{
	if (pt_sink_commit(pt_template_make_sink(m), &err))
		fail_msg("%s", err.text);
}

static inline void make(const char *name)
{
	struct pt_template_make *m = begin(name);
	struct pt_layout *layout = layout_make(SZ);
	struct pt_sink *sink = pt_template_make_sink(m);

	assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	assert_true(pt_sink_starts_zero(sink));
	place(sink);
	commit(m);
	pt_template_make_end(m);
	pt_layout_free(layout);
}

static inline unsigned count(void)
{
	struct pt_template *all;
	unsigned cnt;

	assert_int_equal(pt_template_list(&all, &cnt, FOLDER, &err), 0);
	free(all);
	return cnt;
}

static inline struct pt_template find(const char *name)
{
	struct pt_template t;

	if (pt_template_find(&t, FOLDER, name, &err))
		fail_msg("%s", err.text);
	return t;
}

static inline void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static inline void remove_one(const char *name)
{
	struct pt_template t = find(name);

	assert_int_equal(pt_template_remove(FOLDER, &t, &err), 0);
	reap(t.pid);
	assert_int_equal(pt_template_find(&t, FOLDER, name, &err), -ENOENT);
}

#endif
