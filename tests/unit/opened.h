/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* opened: files opened as a source, and viewed region by region. */
#ifndef TEST_OPENED_H
#define TEST_OPENED_H

#include "scratch.h"
#include "source/source.h"

#define REGION (2u << 20)
#define PAGE 4096u

struct opened {
	struct pt_source *src;
	struct pt_layout *layout;
	struct pt_view view;
};

static inline void open_all(struct opened *o, const char *const *paths,
		     unsigned int cnt)
{
	struct pt_error err = { 0 };
	const struct pt_segment *segs;
	__u32 seg_cnt;

	if (pt_source_open_files(&o->src, paths, cnt, &err))
		fail_msg("%s", err.text);
	segs = pt_source_segments(o->src, &seg_cnt);
	assert_int_equal(seg_cnt, cnt);
	assert_int_equal(pt_layout_create(&o->layout, segs, seg_cnt, &err), 0);
	pt_view_init(&o->view);
}

static inline void open_one(struct opened *o, const char *path)
{
	open_all(o, &path, 1);
}

static inline void close_all(struct opened *o)
{
	pt_view_free(&o->view);
	pt_view_free(&o->view);		/* a second call does nothing */
	pt_layout_free(o->layout);
	pt_source_close(o->src);
}

static inline void see(struct opened *o, __u64 region)
{
	struct pt_error err = { 0 };

	if (pt_source_view(o->src, &o->view, o->layout, region, &err))
		fail_msg("%s", err.text);
	for (__u32 first = 0; first < o->view.page_cnt; first += 64)
		if (pt_view_load(o->src, &o->view, first,
				 pt_view_word(&o->view, first), &err))
			fail_msg("%s", err.text);
}

/* The whole source equals the image, page by page, holes being zero; returns
 * how many pages were holes. */
static inline __u64 check_content(struct opened *o, const __u8 *image, __u64 sz)
{
	static const __u8 zero[PAGE];
	__u64 holes = 0, off = 0;

	for (__u64 r = 0; r < pt_layout_region_cnt(o->layout); r++) {
		see(o, r);
		for (__u32 i = 0; i < o->view.page_cnt; i++, off += PAGE) {
			__u64 left = sz - off < PAGE ? sz - off : PAGE;

			if (pt_view_is_hole(&o->view, i)) {
				assert_memory_equal(image + off, zero, left);
				holes++;
				continue;
			}
			assert_memory_equal(o->view.pages + i * PAGE,
					    image + off, left);
			assert_memory_equal(o->view.pages + i * PAGE + left,
					    zero, PAGE - left);
		}
		for (__u32 i = o->view.page_cnt; i < 512; i++)
			assert_false(pt_view_is_hole(&o->view, i));
	}
	assert_true(off >= sz && off - sz < PAGE);
	return holes;
}

#endif
