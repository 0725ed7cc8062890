/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The tables of a rebuild: their start and their size. */
#include "rebuild/rebuild_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* table maps zeroed memory that costs nothing until it is touched. */
static void *table(__u64 sz)
{
	void *at = mmap(NULL, sz, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static void table_free(void *at, __u64 sz)
{
	if (at)
		munmap(at, sz);
}

/* start_unknown: any page may hold anything until it is placed or made zero. */
static void start_unknown(struct pt_rebuild *r)
{
	__u64 region_cnt = pt_layout_region_cnt(r->layout);

	for (__u64 i = 0; i < region_cnt; i++) {
		__u32 cnt = pt_layout_region(r->layout, i, NULL);

		for (__u32 page = 0; page < cnt; page++)
			bit_set(r->written, i * PT_REGION_PAGES + page);
		r->regions[i].has_pages = true;
	}
}

int pt_rebuild_create(struct pt_rebuild **out, const struct pt_layout *layout,
		      struct pt_sink *sink, __u64 digest_key)
{
	__u64 region_cnt = pt_layout_region_cnt(layout);
	struct pt_rebuild *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->layout = layout;
	r->sink = sink;
	r->digest_key = digest_key;
	r->page_cnt = pt_layout_page_cnt(layout);
	r->versions = table(r->page_cnt * sizeof(*r->versions));
	r->contents = table(r->page_cnt * sizeof(*r->contents));
	r->written = table(r->page_cnt / 8);
	r->summed = table(r->page_cnt / 8);
	r->unreadable = table(r->page_cnt / 8);
	r->regions = table(region_cnt * sizeof(*r->regions));
	if (!r->versions || !r->contents || !r->written || !r->summed ||
	    !r->unreadable || !r->regions) {
		pt_rebuild_destroy(r);
		return -ENOMEM;
	}
	if (!pt_sink_starts_zero(sink))
		start_unknown(r);
	*out = r;
	return 0;
}

void pt_rebuild_destroy(struct pt_rebuild *r)
{
	if (!r)
		return;
	table_free(r->regions, pt_layout_region_cnt(r->layout) *
			       sizeof(*r->regions));
	table_free(r->unreadable, r->page_cnt / 8);
	table_free(r->summed, r->page_cnt / 8);
	table_free(r->written, r->page_cnt / 8);
	table_free(r->contents, r->page_cnt * sizeof(*r->contents));
	table_free(r->versions, r->page_cnt * sizeof(*r->versions));
	free(r);
}
