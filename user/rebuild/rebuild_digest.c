/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rebuild/rebuild_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pt_rebuild_held(const struct pt_rebuild *r, __u64 region_idx, __u8 *pages,
		    struct pt_held_region *out, struct pt_error *err)
{
	__u64 page_idx = region_idx * PT_REGION_PAGES;
	__u64 gfn;
	__u32 cnt = pt_layout_region(r->layout, region_idx, &gfn);
	int ret = pt_sink_read(r->sink,
			       pt_layout_image_off(r->layout, page_idx), pages,
			       (__u64)cnt * PT_PAGE_SZ, err);

	memset(out, 0, sizeof(*out));
	for (__u32 i = 0; !ret && i < cnt; i++) {
		out->digests[i] = pt_digest_page(r->digest_key, gfn + i,
						 pages + (__u64)i * PT_PAGE_SZ);
		if (out->digests[i])
			bit_set(out->has_data, i);
	}
	return ret;
}

void pt_rebuild_import(struct pt_rebuild *r, __u64 region_idx,
		       const struct pt_held_region *held)
{
	__u64 word = region_idx * (PT_REGION_PAGES / 64);

	for (__u32 i = 0; i < PT_REGION_PAGES / 64; i++) {
		r->written[word + i] |= held->has_data[i];
		r->summed[word + i] |= held->has_data[i];
	}
	for (__u32 i = 0; i < PT_REGION_PAGES; i++) {
		r->regions[region_idx].digest += held->digests[i];
		if (held->digests[i])
			r->contents[region_idx * PT_REGION_PAGES + i] =
				held->digests[i];
	}
	r->regions[region_idx].has_pages = true;
}

/* digest_page uses read(2), since a page that is only read need not be mapped. */
static int digest_page(const struct pt_rebuild *r, __u64 page_idx, __u64 *digest,
		       struct pt_error *err)
{
	__u8 page[PT_PAGE_SZ];
	__u64 gfn;
	int ret = pt_sink_read(r->sink,
			       pt_layout_image_off(r->layout, page_idx), page,
			       sizeof(page), err);

	pt_layout_region(r->layout, page_idx / PT_REGION_PAGES, &gfn);
	if (!ret)
		*digest = pt_digest_page(r->digest_key,
					 gfn + page_idx % PT_REGION_PAGES, page);
	return ret;
}

int pt_rebuild_sum_later(const struct placing *p, __u64 page_idx)
{
	struct pt_page_sum *sum = p->sum;

	sum->later[sum->later_cnt++] = page_idx;
	return sum->later_cnt < PT_SUM_LATER_MAX ? 0 :
	       pt_rebuild_sum_whole(p->rebuild, p->run, sum, p->err);
}

/* A page may be of a newer version meanwhile, which is not whole or was digested.
 * While the rest of a memory comes, pages are digested before they are placed. */
int pt_rebuild_sum_whole(struct pt_rebuild *r, struct pt_sink_run *run,
			 struct pt_page_sum *sum, struct pt_error *err)
{
	int ret = pt_sink_run_flush(run, err);

	for (__u32 i = 0; !ret && i < sum->later_cnt; i++) {
		__u64 page_idx = sum->later[i], digest = 0;

		if (r->fills || r->contents[page_idx] != WHOLE)
			continue;
		if (bit_is_set(r->written, page_idx))
			ret = digest_page(r, page_idx, &digest, err);
		if (!ret)
			pt_rebuild_page_sum(r, page_idx, digest);
	}
	sum->later_cnt = 0;
	return ret;
}

int pt_rebuild_region_digest(const struct pt_rebuild *r, __u64 region_idx,
			     __u64 *digest, struct pt_error *err)
{
	__u64 first = region_idx * PT_REGION_PAGES;
	__u64 of_page;
	int ret = 0;

	*digest = r->regions[region_idx].digest;
	if (!r->regions[region_idx].has_pages)
		return 0;
	for (__u64 at = 0; at < PT_REGION_PAGES; at += 64) {
		__u64 word = (first + at) / 64;
		__u64 left = r->fills ? 0 : r->written[word] & ~r->summed[word];

		for (; !ret && left; left &= left - 1) {
			ret = digest_page(r, first + at + __builtin_ctzll(left),
					  &of_page, err);
			*digest += ret ? 0 : of_page;
		}
	}
	return ret;
}

/* put_unreadable: the bytes in the sink are not the content of such a page. */
static void put_unreadable(const struct pt_rebuild *r, __u64 region_idx,
			   struct pt_held_region *held)
{
	__u64 first = region_idx * PT_REGION_PAGES, gfn;
	__u32 cnt = pt_layout_region(r->layout, region_idx, &gfn);

	for (__u32 i = 0; i < cnt; i++)
		if (bit_is_set(r->unreadable, first + i))
			held->digests[i] = pt_digest_unreadable(gfn + i);
}

/* digests_placed: those of the pages as they came. */
static int digests_placed(const struct pt_rebuild *r, __u64 region_idx,
			  __u64 digests[PT_REGION_PAGES])
{
	__u64 first = region_idx * PT_REGION_PAGES;
	__u32 cnt = pt_layout_region(r->layout, region_idx, NULL);

	memset(digests, 0, PT_REGION_PAGES * sizeof(*digests));
	for (__u32 i = 0; i < cnt; i++)
		if (bit_is_set(r->summed, first + i))
			digests[i] = r->contents[first + i];
	return cnt;
}

int pt_rebuild_page_digests(const struct pt_rebuild *r, __u64 region_idx,
			    __u64 digests[PT_REGION_PAGES], struct pt_error *err)
{
	struct pt_held_region held;
	__u8 *pages;
	int ret = -ENOMEM;

	if (r->fills)
		return digests_placed(r, region_idx, digests);
	pages = malloc(PT_REGION_SZ);
	if (pages)
		ret = pt_rebuild_held(r, region_idx, pages, &held, err);
	else
		pt_error_set(err, PT_EXIT_HOST, ret, "no memory for a region");
	free(pages);
	if (ret)
		return ret;
	put_unreadable(r, region_idx, &held);
	memcpy(digests, held.digests, sizeof(held.digests));
	return pt_layout_region(r->layout, region_idx, NULL);
}
