// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "lane/copies.h"
#include "memory/guard.h"
#include "trim/digest.h"
#include "trim/scan.h"

struct pack {
	const struct pt_pack_cfg *cfg;
	struct pt_pack_result *out;
	struct pt_source *src;
	struct pt_layout *src_layout;	/* of the source's own segments */
	const struct pt_layout *layout;	/* of the image */
	bool is_table;			/* the two differ */
	struct pt_view view;
	__u64 view_idx;			/* the source's region in view; ~0: none */
	struct pt_ptrim *parent;
	struct pt_ptrim_reader *reader;	/* of the parent */
	struct pt_ptrim_writer *writer;
	struct pt_copies copies;
	/* The region that is packed now. */
	__u64 masks[PT_REGION_PAGES];
	bool holes[PT_REGION_PAGES], unreadable[PT_REGION_PAGES];
	__u8 pages[PT_REGION_PAGES][PT_PAGE_SZ];
	__u8 other[PT_PAGE_SZ];		/* the page that one is compared with */
};

/* source_idx returns the index of the page in the source's layout. */
static __u64 source_idx(const struct pack *p, __u64 page_idx)
{
	return p->is_table ? pt_layout_image_off(p->layout, page_idx) / PT_PAGE_SZ
			   : page_idx;
}

/* ---- reading the source ---- */

static int view_show(struct pack *p, __u64 region_idx, struct pt_error *err)
{
	int code;

	if (p->view_idx == region_idx)
		return 0;
	p->view_idx = ~0ULL;
	pt_view_drop(&p->view);
	code = pt_source_view(p->src, &p->view, p->src_layout, region_idx, err);
	for (__u32 first = 0; !code && first < p->view.page_cnt; first += 64)
		code = pt_view_load(p->src, &p->view, first,
				    pt_view_word(&p->view, first), err);
	if (!code)
		p->view_idx = region_idx;
	return code;
}

/* take_guarded returns 1 if a page turned out to be unreadable: it is to be called
 * again, and reads that page no more. */
static int take_guarded(struct pack *p, __u32 first, __u32 end, __u32 at,
			struct pt_error *err)
{
	struct pt_guard guard;
	int code;

	if (pt_guard_enter(&guard)) {
		code = pt_source_lose(p->src, &p->view, guard.addr, err);
		return code ? code : 1;
	}
	for (__u32 i = first; i < end; i++) {
		__u32 from = at + i - first;

		p->holes[i] = pt_view_is_hole(&p->view, from);
		p->unreadable[i] = pt_view_is_unreadable(&p->view, from);
		p->masks[i] = 0;
		if (p->holes[i] || p->unreadable[i])
			continue;
		memcpy(p->pages[i], p->view.pages + (__u64)from * PT_PAGE_SZ,
		       PT_PAGE_SZ);
		p->masks[i] = pt_scan(p->pages[i]);
	}
	pt_guard_leave(&guard);
	return 0;
}

/* take copies pages [first, end) of the region from the view, where the first of
 * them is page `at`. */
static int take(struct pack *p, __u32 first, __u32 end, __u32 at,
		struct pt_error *err)
{
	int code;

	do
		code = take_guarded(p, first, end, at, err);
	while (code > 0);
	return code;
}

/* region_take reads a region of the image; it may lie in two of the source's. */
static int region_take(struct pack *p, __u64 region_idx, __u32 page_cnt,
		       struct pt_error *err)
{
	__u64 idx = source_idx(p, region_idx * PT_REGION_PAGES);
	__u32 at = idx % PT_REGION_PAGES;
	__u32 cut = PT_REGION_PAGES - at < page_cnt ? PT_REGION_PAGES - at
						    : page_cnt;
	int code = view_show(p, idx / PT_REGION_PAGES, err);

	if (!code)
		code = take(p, 0, cut, at, err);
	if (code || cut == page_cnt)
		return code;
	code = view_show(p, idx / PT_REGION_PAGES + 1, err);
	return code ? code : take(p, cut, page_cnt, 0, err);
}

/* ---- one page ---- */

/* bare_state: of a page without data. */
static enum pt_ptrim_state bare_state(const struct pack *p, __u32 i)
{
	if (p->unreadable[i])
		return PT_PTRIM_UNREADABLE;
	return p->holes[i] ? PT_PTRIM_ABSENT : PT_PTRIM_ZERO;
}

/* is_of_parent: the parent has this page, and with this content. */
static bool is_of_parent(struct pack *p, __u64 page_idx, __u32 i)
{
	enum pt_ptrim_state state;
	__u64 idx;

	if (!p->parent ||
	    !pt_layout_find(pt_ptrim_layout(p->parent),
			    pt_layout_gfn(p->layout, page_idx), &idx))
		return false;
	state = pt_ptrim_read(p->reader, idx, p->other);
	if (!p->masks[i])
		return state == bare_state(p, i);
	return state == PT_PTRIM_DATA &&
	       !memcmp(p->other, p->pages[i], PT_PAGE_SZ);
}

/* is_copy: the original's bytes are this page's. */
static bool is_copy(struct pack *p, __u64 original, __u32 i)
{
	struct pt_guard guard;
	const __u8 *bytes;
	bool is_same;

	if (!pt_ptrim_writer_has(p->writer, original))
		return false;
	if (pt_guard_enter(&guard))
		return false;	/* the view of it will say so */
	bytes = pt_source_page(p->src, p->src_layout, source_idx(p, original),
			       p->other);
	is_same = bytes && !memcmp(bytes, p->pages[i], PT_PAGE_SZ);
	pt_guard_leave(&guard);
	return is_same;
}

static int data_pack(struct pack *p, __u64 page_idx, __u32 i, __u64 content,
		     struct pt_error *err)
{
	struct pt_original original;

	p->out->pages[PT_PTRIM_DATA]++;
	if (p->copies.slots && pt_copies_find(&p->copies, content, &original) &&
	    is_copy(p, original.page_idx, i)) {
		p->out->copy_cnt++;
		pt_ptrim_writer_same(p->writer, page_idx, original.page_idx,
				     content);
		return 0;
	}
	if (p->copies.slots)
		pt_copies_note(&p->copies, content, page_idx, 0);
	return pt_ptrim_writer_data(p->writer, page_idx, p->masks[i],
				    p->pages[i], content, err);
}

static int page_pack(struct pack *p, __u64 page_idx, __u32 i,
		     struct pt_error *err)
{
	enum pt_ptrim_state state = bare_state(p, i);
	__u64 content = state == PT_PTRIM_UNREADABLE ?
			PT_PTRIM_UNREADABLE_CONTENT : 0;

	if (p->masks[i])
		content = pt_digest_content(pt_ptrim_writer_key(p->writer),
					    p->pages[i]);
	if (is_of_parent(p, page_idx, i))
		state = PT_PTRIM_PARENT;
	else if (p->masks[i])
		return data_pack(p, page_idx, i, content, err);
	p->out->pages[state]++;
	pt_ptrim_writer_mark(p->writer, page_idx, state, content);
	return 0;
}

/* ---- the whole ---- */

static int regions_pack(struct pack *p, struct pt_error *err)
{
	__u64 cnt = pt_layout_region_cnt(p->layout);
	int code = 0;

	for (__u64 region = 0; !code && region < cnt; region++) {
		__u32 page_cnt = pt_layout_region(p->layout, region, NULL);

		code = region_take(p, region, page_cnt, err);
		for (__u32 i = 0; !code && i < page_cnt; i++)
			code = page_pack(p, region * PT_REGION_PAGES + i, i, err);
		if (!code)
			code = pt_ptrim_writer_region(p->writer, region, err);
		if (!code && p->cfg->progress &&
		    !p->cfg->progress(p->cfg->arg, region + 1, cnt))
			code = pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
					    "interrupted; nothing is left of it");
	}
	return code;
}

/* parent_name: the name by which the image finds its parent. */
static const char *parent_name(const struct pack *p)
{
	const char *slash = strrchr(p->cfg->parent, '/');

	return slash ? slash + 1 : p->cfg->parent;
}

static int parent_open(struct pack *p, struct pt_error *err)
{
	const struct pt_ptrim *of;
	const char *fault;
	unsigned int cnt = 1;
	int code;

	if (!p->cfg->parent)
		return 0;
	fault = pt_name_file_fault(parent_name(p));
	if (fault)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: cannot be the "
				    "parent of an image by its name: %s (rename it)",
				    p->cfg->parent, fault);
	code = pt_ptrim_open(&p->parent, p->cfg->parent, NULL, err);
	if (code)
		return code;
	for (of = p->parent; of; of = pt_ptrim_parent(of))
		cnt++;
	if (cnt > PT_PTRIM_CHAIN_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: is the last of "
				    "%u images, each the parent of the next, and "
				    "more are not read (pack without {parent})",
				    p->cfg->parent, PT_PTRIM_CHAIN_MAX);
	if (pt_ptrim_reader_create(&p->reader, p->parent))
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to read it", p->cfg->parent);
	return 0;
}

static int writer_make(struct pack *p, const char *path, struct pt_error *err)
{
	struct pt_ptrim_writer_cfg cfg = {
		.layout = p->layout,
		.method = p->cfg->method,
		.level = p->cfg->level,
		.unit_pages = PT_PACK_UNIT_PAGES,
	};

	if (p->parent) {
		cfg.parent_id = pt_ptrim_header(p->parent)->id;
		cfg.parent_name = parent_name(p);
	}
	if (pt_copies_init(&p->copies, pt_layout_page_cnt(p->layout), 1))
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to find copies", path);
	return pt_ptrim_writer_create(&p->writer, path, &cfg, err);
}

/* layouts_make also checks that the table's bytes are the source's. */
static int layouts_make(struct pack *p, const struct pt_layout *table,
			struct pt_error *err)
{
	const struct pt_segment *segs;
	__u32 cnt;
	int code;

	segs = pt_source_segments(p->src, &cnt);
	code = pt_layout_create(&p->src_layout, segs, cnt, err);
	if (code)
		return code;
	p->layout = table ? table : p->src_layout;
	p->is_table = table;
	if (table && (cnt != 1 || segs[0].sz != pt_layout_image_sz(table)))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: %llu bytes, "
				    "and its table of segments is of %llu", segs[0].name,
				    segs[0].sz, pt_layout_image_sz(table));
	p->out->memory_sz = pt_layout_image_sz(p->layout);
	return 0;
}

static void pack_free(struct pack *p)
{
	pt_ptrim_writer_close(p->writer);
	pt_copies_free(&p->copies);
	pt_ptrim_reader_destroy(p->reader);
	pt_ptrim_close(p->parent);
	pt_view_free(&p->view);
	pt_layout_free(p->src_layout);
	free(p);
}

int pt_pack(const char *path, struct pt_source *src, const struct pt_layout *table,
	    const struct pt_pack_cfg *cfg, struct pt_pack_result *out,
	    struct pt_error *err)
{
	struct pack *p = calloc(1, sizeof(*p));
	int code;

	if (!p)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to make it", path);
	*out = (struct pt_pack_result){ 0 };
	*p = (struct pack){ .cfg = cfg, .out = out, .src = src, .view_idx = ~0ULL };
	pt_view_init(&p->view);
	code = layouts_make(p, table, err);
	if (!code)
		code = parent_open(p, err);
	if (!code)
		code = writer_make(p, path, err);
	if (!code)
		code = regions_pack(p, err);
	for (__u32 i = 0; !code && i < cfg->file_cnt; i++)
		code = pt_ptrim_writer_file(p->writer, cfg->files[i], err);
	if (!code)
		code = pt_ptrim_writer_commit(p->writer, &out->image_sz, err);
	out->zeroed_cnt = pt_source_zeroed_cnt(src);
	pack_free(p);
	return code;
}
