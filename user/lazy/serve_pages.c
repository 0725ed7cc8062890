// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The pages of a guest, placed one by one or unit by unit. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "lazy/place.h"
#include "lazy/serve_impl.h"
#include "memory/layout.h"

#define NO_MEMORY_MS	10000	/* that a page may lack memory */
#define PAUSE_MS	20	/* between attempts */

static __u64 addr_of(const struct pt_lazy_region *region, __u64 page)
{
	return region->addr + (page - region->first) * PT_PAGE_SZ;
}

/* lacks_memory ends the service if that lasts. */
static void lacks_memory(struct pt_lazy_serve *s, int code)
{
	__u64 now = pt_clock_ns();

	if (!s->lacks_since_ns)
		s->lacks_since_ns = now;
	if (now - s->lacks_since_ns > NO_MEMORY_MS * 1000000ULL)
		s->code = code;
	else
		poll(NULL, 0, PAUSE_MS);
}

/* took judges the result of a call on the page: 4096-byte pages that it settled, or
 * -EAGAIN. */
static long took(struct pt_lazy_serve *s, long got, __u64 page, __u64 cnt)
{
	if (got >= 0) {
		s->lacks_since_ns = 0;
		return got / PT_PAGE_SZ;
	}
	if (got == -ENOENT) {	/* nothing is mapped there any more */
		s->r->counts.removed += pt_lazy_settle(s->r, page, cnt);
		return cnt;
	}
	if (got == -ESRCH)
		s->is_gone = true;
	else if (got == -ENOMEM || got == -ENOSPC)
		lacks_memory(s, got);
	else if (got != -EAGAIN)
		s->code = got;
	return -EAGAIN;
}

/* put_one places sz bytes of data, in one mapping of the VMM. */
static long put_one(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		    __u64 page, const __u8 *from, __u64 cnt, __u64 *there)
{
	__u64 page_cnt = region->page_sz / PT_PAGE_SZ;
	long got = pt_place_copy(s->cfg.uffd, addr_of(region, page), from,
				 cnt * PT_PAGE_SZ, region->page_sz, there);

	/* The VMM may have split its mapping: then each page by itself. */
	if (got == -ENOENT && cnt > page_cnt)
		got = pt_place_copy(s->cfg.uffd, addr_of(region, page), from,
				    region->page_sz, region->page_sz, there);
	return took(s, got, page, page_cnt);
}

/* put places cnt pages of data, as many as it can; returns how many it did. */
static __u64 put(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		 __u64 page, const __u8 *from, __u64 cnt)
{
	__u64 there = 0, done = 0, placed = 0;

	while (done < cnt) {
		long n = put_one(s, region, page + done, from + done * PT_PAGE_SZ,
				 cnt - done, &there);

		if (n <= 0)
			break;
		placed += pt_lazy_settle(s->r, page + done, n);
		done += n;
	}
	there /= PT_PAGE_SZ;
	s->r->counts.there += there;
	return placed > there ? placed - there : 0;
}

/* put_zero answers with zeroes; a page that is there stays as it is. */
static long put_zero(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		     __u64 page)
{
	__u64 there = 0, cnt = region->page_sz / PT_PAGE_SZ;
	long got;

	if (region->page_sz == PT_PAGE_SZ) {
		got = pt_place_zero(s->cfg.uffd, addr_of(region, page), PT_PAGE_SZ,
				    PT_PAGE_SZ, &there);
	} else {	/* there is no zero page of that size */
		memset(s->buffer, 0, region->page_sz);
		got = pt_place_copy(s->cfg.uffd, addr_of(region, page), s->buffer,
				    region->page_sz, region->page_sz, &there);
	}
	got = took(s, got, page, cnt);
	if (got > 0)
		s->r->counts.zero += pt_lazy_settle(s->r, page, cnt);
	return got < 0 ? got : 0;
}

static long put_poison(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		       __u64 page)
{
	__u64 cnt = region->page_sz / PT_PAGE_SZ;
	long got = pt_place_poison(s->cfg.uffd, addr_of(region, page),
				   region->page_sz);

	if (got == -EOPNOTSUPP) {
		if (!s->is_stuck)
			s->cfg.damaged(s->cfg.arg, pt_lazy_image_page(region, page),
				       cnt, false);
		s->is_stuck = true;
		return got;
	}
	got = took(s, got, page, cnt);
	if (got < 0)
		return got;
	s->r->counts.poisoned += pt_lazy_settle(s->r, page, cnt);
	s->cfg.damaged(s->cfg.arg, pt_lazy_image_page(region, page), cnt, true);
	return 0;
}

/* load reads a page of the region's size; damaged as a whole if a part of it is. */
static enum pt_lazy_content load(struct pt_lazy_serve *s,
				 const struct pt_lazy_region *region, __u64 page,
				 __u8 *to)
{
	enum pt_lazy_content content = PT_LAZY_ZERO;
	__u64 first = pt_lazy_image_page(region, page);

	for (__u64 i = 0; i < region->page_sz / PT_PAGE_SZ; i++) {
		enum pt_lazy_content one = pt_lazy_image_read(
			s->cfg.image, first + i, to + i * PT_PAGE_SZ);

		if (one == PT_LAZY_LOST)
			return one;
		if (one == PT_LAZY_DATA)
			content = PT_LAZY_DATA;
		else
			memset(to + i * PT_PAGE_SZ, 0, PT_PAGE_SZ);
	}
	return content;
}

long pt_lazy_answer(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		    __u64 page, bool is_pending)
{
	__u64 placed;

	if (!is_pending)
		return put_zero(s, region, page);
	switch (load(s, region, page, s->buffer)) {
	case PT_LAZY_DATA:
		placed = put(s, region, page, s->buffer,
			     region->page_sz / PT_PAGE_SZ);
		return pt_lazy_is_pending(s->r, page) ? -EAGAIN : (long)placed;
	case PT_LAZY_ZERO:
		return put_zero(s, region, page);
	default:
		return put_poison(s, region, page);
	}
}

long pt_lazy_continue(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		      __u64 page)
{
	__u64 cnt = region->page_sz / PT_PAGE_SZ;
	long got = pt_place_continue(s->cfg.uffd, addr_of(region, page),
				     region->page_sz);

	if (got == -EFAULT)	/* it was punched since */
		return -EAGAIN;
	got = took(s, got, page, cnt);
	if (got > 0)
		s->r->counts.there += pt_lazy_settle(s->r, page, cnt);
	return got < 0 ? got : 0;
}

/* ---- units ---- */

/* unit_run: pages of a unit that follow one another and are read, but not placed. */
struct unit_run {
	const struct pt_lazy_region *region;
	__u64 first, cnt;
	__u64 placed;		/* of all runs so far */
};

static void run_end(struct pt_lazy_serve *s, struct unit_run *run)
{
	if (run->cnt)
		run->placed += put(s, run->region, run->first, s->buffer, run->cnt);
	run->cnt = 0;
}

/* run_add reads a pending page of 4096 bytes into the run. */
static void run_add(struct pt_lazy_serve *s, struct unit_run *run, __u64 page)
{
	const struct pt_lazy_region *region = pt_lazy_region_of(s->r, page);
	enum pt_lazy_content content;

	if (run->cnt && (run->region != region || run->first + run->cnt != page))
		run_end(s, run);
	content = load(s, region, page, s->buffer + run->cnt * PT_PAGE_SZ);
	if (content == PT_LAZY_DATA) {
		if (!run->cnt++)
			run->first = page;
		run->region = region;
		return;
	}
	run_end(s, run);
	if (content == PT_LAZY_LOST)
		put_poison(s, region, page);
	else	/* a fault there is answered with zeroes from now on */
		s->r->counts.zero += pt_lazy_settle(s->r, page, 1);
}

static __u64 place_large(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
			 __u64 page)
{
	long placed = 0;

	page -= (page - region->first) % (region->page_sz / PT_PAGE_SZ);
	if (pt_lazy_is_pending(s->r, page))
		placed = pt_lazy_answer(s, region, page, true);
	return placed > 0 ? placed : 0;
}

__u64 pt_lazy_place_unit(struct pt_lazy_serve *s, __u64 page, bool touched)
{
	const struct pt_lazy_region *region = pt_lazy_region_of(s->r, page);
	__u64 first = pt_lazy_image_page(region, page), pages[PT_LAZY_UNIT_MAX], own;
	struct unit_run run = { .cnt = 0 };
	__u32 cnt;

	if (region->page_sz > PT_PAGE_SZ) {
		if (touched && s->cfg.touched)
			pt_lazy_order_add(s->cfg.touched, first,
					  region->page_sz / PT_PAGE_SZ);
		return place_large(s, region, page);
	}
	cnt = pt_lazy_image_unit(s->cfg.image, first, pages);
	for (__u32 i = 0; i < cnt && !pt_lazy_has_ended(s); i++) {
		if (touched && s->cfg.touched)
			pt_lazy_order_add(s->cfg.touched, pages[i], 1);
		if (pt_lazy_page_find(s->r, pages[i], &own) &&
		    pt_lazy_is_pending(s->r, own) &&
		    pt_lazy_region_of(s->r, own)->page_sz == PT_PAGE_SZ)
			run_add(s, &run, own);
	}
	run_end(s, &run);
	return run.placed;
}
