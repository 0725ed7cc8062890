// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/walk.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "trim/digest.h"

/* run: pages of one kind that follow each other. */
struct run {
	void (*tell)(void *arg, __u64 page_idx, __u64 cnt);
	__u64 first, cnt;
};

struct walker {
	const struct pt_ptrim *image;
	const struct pt_walk *walk;
	struct pt_walk_result *out;
	struct pt_ptrim_reader *reader;
	struct run lost, unreadable;
	__u64 digest;			/* of the region so far */
	bool has_lost;			/* the region has */
	__u8 page[PT_PAGE_SZ];
};

static void run_end(struct walker *w, struct run *run)
{
	if (run->cnt)
		run->tell(w->walk->arg, run->first, run->cnt);
	run->cnt = 0;
}

static void run_add(struct walker *w, struct run *run, __u64 page_idx)
{
	if (run->cnt && run->first + run->cnt != page_idx)
		run_end(w, run);
	if (!run->cnt)
		run->first = page_idx;
	run->cnt++;
}

/* page_walk reads one page. */
static int page_walk(struct walker *w, __u64 page_idx, struct pt_error *err)
{
	__u64 gfn = pt_layout_gfn(pt_ptrim_layout(w->image), page_idx);
	__u64 key = be64toh(pt_ptrim_header(w->image)->digest_key);

	switch (pt_ptrim_read(w->reader, page_idx, w->page)) {
	case PT_PTRIM_DATA:
		w->digest += pt_digest_page(key, gfn, w->page);
		return w->walk->page ? w->walk->page(w->walk->arg, page_idx,
						     w->page, err) : 0;
	case PT_PTRIM_UNREADABLE:
		w->digest += pt_digest_at(PT_PTRIM_UNREADABLE_CONTENT, gfn);
		w->out->unreadable_cnt++;
		run_add(w, &w->unreadable, page_idx);
		return 0;
	case PT_PTRIM_ABSENT:
	case PT_PTRIM_ZERO:
		return 0;
	default:
		w->out->failure = pt_ptrim_failure(w->reader,
						   &w->out->failure_err);
		if (w->out->failure == -EOPNOTSUPP)
			return pt_ptrim_failure(w->reader, err);
		w->has_lost = true;
		w->out->lost_cnt++;
		run_add(w, &w->lost, page_idx);
		return 0;
	}
}

static int region_walk(struct walker *w, __u64 region_idx, struct pt_error *err)
{
	enum pt_ptrim_state alike = pt_ptrim_alike(w->image, region_idx);
	__u32 page_cnt = pt_layout_region(pt_ptrim_layout(w->image), region_idx,
					  NULL);
	__u64 first = region_idx * PT_REGION_PAGES, digest;
	int code = 0;

	w->digest = 0;
	w->has_lost = false;
	if (alike != PT_PTRIM_ABSENT && alike != PT_PTRIM_ZERO)
		for (__u32 i = 0; !code && i < page_cnt; i++)
			code = page_walk(w, first + i, err);
	if (code || w->has_lost)
		return code;
	if (!pt_ptrim_digest(w->image, region_idx, &digest) || digest != w->digest) {
		w->out->wrong_cnt++;
		w->walk->wrong(w->walk->arg, region_idx);
	}
	return 0;
}

static int regions_walk(struct walker *w, struct pt_error *err)
{
	__u64 cnt = pt_layout_region_cnt(pt_ptrim_layout(w->image));
	__u64 off, last = ~0ULL;
	int code = 0;

	for (__u64 i = 0; !code && i < cnt; i++) {
		__u32 seg = pt_layout_region_segment(pt_ptrim_layout(w->image), i,
						     &off);

		if (seg != last) {
			run_end(w, &w->lost);
			run_end(w, &w->unreadable);
		}
		last = seg;
		code = region_walk(w, i, err);
		if (!code && w->walk->progress &&
		    !w->walk->progress(w->walk->arg, i + 1, cnt))
			code = pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
					    "interrupted; nothing is left of it");
	}
	run_end(w, &w->lost);
	run_end(w, &w->unreadable);
	return code;
}

void pt_walk_count(const struct pt_ptrim *p, struct pt_walk_result *out)
{
	const struct pt_layout *l = pt_ptrim_layout(p);

	*out = (struct pt_walk_result){ 0 };
	for (__u64 i = 0; i < pt_layout_region_cnt(l); i++) {
		enum pt_ptrim_state alike = pt_ptrim_alike(p, i);
		__u32 page_cnt = pt_layout_region(l, i, NULL);

		for (__u32 k = 0; k < page_cnt; k++) {
			enum pt_ptrim_state state = alike != PT_PTRIM_STATES
				? alike
				: pt_ptrim_look(p, i * PT_REGION_PAGES + k).state;

			if (state < PT_PTRIM_STATES)
				out->pages[state]++;
			else
				out->lost_cnt++;
		}
	}
}

int pt_walk(const struct pt_ptrim *p, const struct pt_walk *walk,
	    struct pt_walk_result *out, struct pt_error *err)
{
	struct walker w = {
		.image = p,
		.walk = walk,
		.out = out,
		.lost.tell = walk->lost,
		.unreadable.tell = walk->unreadable,
	};
	int code;

	pt_walk_count(p, out);
	out->lost_cnt = 0;
	if (pt_ptrim_reader_create(&w.reader, p))
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to read it", pt_ptrim_path(p));
	code = regions_walk(&w, err);
	pt_ptrim_reader_destroy(w.reader);
	return code;
}
