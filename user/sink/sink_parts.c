/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/sink_parts.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>
#include "memory/guard.h"
#include "sink/sink_ops.h"
#include "sink/stream_copy.h"
#include "trim/scan.h"

static int no_page(const struct pt_segment *seg, __u64 gfn,
		   struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "page %llu of '%s' is "
			    "in no region of the receiver's memory (send what "
			    "it has regions for)", (unsigned long long)gfn,
			    seg->name);
}

/* find_region returns the region of page gfn; NULL: there is none. */
static const struct pt_region *find_region(const struct pt_region *regions,
					   __u32 cnt, __u64 gfn)
{
	__u32 low = 0, high = cnt;

	while (low < high) {		/* the first that ends behind gfn */
		__u32 mid = (low + high) / 2;

		if (regions[mid].gfn + regions[mid].sz / PT_PAGE_SZ <= gfn)
			low = mid + 1;
		else
			high = mid;
	}
	return low < cnt && regions[low].gfn <= gfn ? &regions[low] : NULL;
}

/* add_segment adds the parts that seg takes, from p->sz on. */
static int add_segment(struct pt_sink_parts *p, const struct pt_region *regions,
		       __u32 cnt, const struct pt_segment *seg,
		       struct pt_error *err)
{
	__u64 left = pt_segment_page_cnt(seg);
	__u64 gfn = seg->gfn;

	while (left) {
		const struct pt_region *r = find_region(regions, cnt, gfn);
		__u64 skipped, run;

		if (!r)
			return no_page(seg, gfn, err);
		skipped = gfn - r->gfn;
		run = r->sz / PT_PAGE_SZ - skipped;
		run = run < left ? run : left;
		p->parts[p->cnt++] = (struct pt_sink_part){
			.off = p->sz,
			.sz = run * PT_PAGE_SZ,
			.at = (uintptr_t)r->addr + skipped * PT_PAGE_SZ,
		};
		p->sz += run * PT_PAGE_SZ;
		gfn += run;
		left -= run;
	}
	return 0;
}

int pt_sink_parts_fit(struct pt_sink_parts *p, const struct pt_region *regions,
		      __u32 cnt, const struct pt_layout *l,
		      struct pt_error *err)
{
	const struct pt_segment *segs;
	__u32 seg_cnt;
	int ret = 0;

	pt_sink_parts_free(p);
	segs = pt_layout_segments(l, &seg_cnt);
	/* Each part begins where a segment or a region begins. */
	p->parts = calloc((size_t)cnt + seg_cnt, sizeof(*p->parts));
	if (!p->parts)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for a table of %u regions", cnt);
	for (__u32 i = 0; !ret && i < seg_cnt; i++)
		ret = add_segment(p, regions, cnt, &segs[i], err);
	if (ret)
		pt_sink_parts_free(p);
	return ret;
}

void pt_sink_parts_free(struct pt_sink_parts *p)
{
	free(p->parts);
	*p = (struct pt_sink_parts){ .parts = NULL };
}

__u64 pt_sink_parts_find(const struct pt_sink_parts *p, __u64 off, __u64 *at)
{
	__u32 low = 0, high = p->cnt;

	pt_check(off < p->sz);
	while (high - low > 1) {	/* the last that begins at off or
					 * before */
		__u32 mid = (low + high) / 2;

		if (p->parts[mid].off <= off)
			low = mid;
		else
			high = mid;
	}
	*at = p->parts[low].at + (off - p->parts[low].off);
	return p->parts[low].sz - (off - p->parts[low].off);
}

/* find returns the memory at off; *sz is cut to the bytes that the same part
 * holds. */
static __u8 *find(const struct pt_sink_parts *p, __u64 off, __u64 *sz)
{
	__u64 at;
	__u64 run = pt_sink_parts_find(p, off, &at);

	*sz = run < *sz ? run : *sz;
	return (__u8 *)(uintptr_t)at;
}

void pt_sink_parts_place(const struct pt_sink_parts *p, __u64 off,
			 struct iovec *pieces, __u32 cnt, __u64 sz)
{
	while (sz) {
		__u64 part = pieces->iov_len < sz ? pieces->iov_len : sz;
		__u8 *to = find(p, off, &part);

		pt_stream_copy(to, pieces->iov_base, part);
		pt_pieces_advance(&pieces, &cnt, part);
		off += part;
		sz -= part;
	}
	pt_stream_copy_end();
}

void pt_sink_parts_zero(const struct pt_sink_parts *p, __u64 off, __u64 sz)
{
	while (sz) {
		__u64 part = PT_PAGE_SZ;
		__u8 *page = find(p, off, &part);

		if (pt_scan_any(page))
			memset(page, 0, PT_PAGE_SZ);
		off += PT_PAGE_SZ;
		sz -= PT_PAGE_SZ;
	}
}

bool pt_sink_parts_read(const struct pt_sink_parts *p, __u64 off, void *to,
			__u64 sz)
{
	struct pt_guard guard;
	__u64 done, part;

	if (pt_guard_enter(&guard))
		return false;
	for (done = 0; done < sz; done += part) {
		const __u8 *from;

		part = sz - done;
		from = find(p, off + done, &part);
		memcpy((__u8 *)to + done, from, part);
	}
	pt_guard_leave(&guard);
	return true;
}

bool pt_sink_parts_has(const struct pt_sink_parts *p, const void *addr)
{
	__u64 at = (uintptr_t)addr;

	for (__u32 i = 0; i < p->cnt; i++)
		if (at - p->parts[i].at < p->parts[i].sz)
			return true;
	return false;
}
