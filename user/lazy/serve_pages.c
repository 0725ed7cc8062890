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
#define AGAIN_MS	2000	/* after which a lack is another one */

static __u64 addr_of(const struct pt_lazy_region *region, __u64 page)
{
	return region->addr + (page - region->first) * PT_PAGE_SZ;
}

/* lacks_memory ends the service if that lasts.  A lack that is long over does not count,
 * also if nothing was placed in between. */
static void lacks_memory(struct pt_lazy_serve *s, int code)
{
	__u64 now = pt_clock_ns();

	if (!s->lacks_since_ns || now - s->lacked_ns > AGAIN_MS * 1000000ULL)
		s->lacks_since_ns = now;
	s->lacked_ns = now;
	if (now - s->lacks_since_ns > NO_MEMORY_MS * 1000000ULL)
		s->code = code;
	else
		poll(NULL, 0, PAUSE_MS);
}

/* is_nowhere: nothing is mapped there any more, or it is behind the end of the VMM's
 * file: the bytes come from memory of our own, so that EFAULT says nothing else. */
static bool is_nowhere(long got)
{
	return got == -ENOENT || got == -EFAULT;
}

/* took judges the result of a call on the page: 4096-byte pages that it settled, or
 * -EAGAIN.  Threads that wait where nothing is any more ask the kernel again. */
static long took(struct pt_lazy_serve *s, const struct pt_lazy_region *region, long got,
		 __u64 page, __u64 cnt)
{
	if (got >= 0) {
		s->lacks_since_ns = 0;
		return got / PT_PAGE_SZ;
	}
	if (is_nowhere(got)) {
		s->r->counts.removed += pt_lazy_settle(s->r, page, cnt);
		pt_place_wake(s->cfg.uffd, addr_of(region, page), cnt * PT_PAGE_SZ);
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

/* ---- pages of 4096 bytes ---- */

/* put_one places pages of data, in one mapping of the VMM. */
static long put_one(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		    __u64 page, const __u8 *from, __u64 cnt, __u64 *there)
{
	long got = pt_place_copy(s->cfg.uffd, addr_of(region, page), from,
				 cnt * PT_PAGE_SZ, PT_PAGE_SZ, there);

	/* The VMM may have split its mapping: then each page by itself. */
	if (is_nowhere(got) && cnt > 1)
		got = pt_place_copy(s->cfg.uffd, addr_of(region, page), from,
				    PT_PAGE_SZ, PT_PAGE_SZ, there);
	return took(s, region, got, page, 1);
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
	__u64 there = 0;
	long got = pt_place_zero(s->cfg.uffd, addr_of(region, page), PT_PAGE_SZ,
				 PT_PAGE_SZ, &there);

	got = took(s, region, got, page, 1);
	if (got > 0)
		s->r->counts.zero += pt_lazy_settle(s->r, page, 1);
	return got < 0 ? got : 0;
}

/* load reads what is pending of a page of the region's size, with zeroes around;
 * damaged as a whole if a part of it is. */
static enum pt_lazy_content load(struct pt_lazy_serve *s,
				 const struct pt_lazy_region *region, __u64 page,
				 __u8 *to)
{
	enum pt_lazy_content content = PT_LAZY_ZERO;
	__u64 first = pt_lazy_image_page(region, page);

	for (__u64 i = 0; i < region->page_sz / PT_PAGE_SZ; i++) {
		enum pt_lazy_content one = PT_LAZY_ZERO;

		if (pt_lazy_is_pending(s->r, page + i))
			one = pt_lazy_image_read(s->cfg.image, first + i,
						 to + i * PT_PAGE_SZ);
		if (one == PT_LAZY_LOST)
			return one;
		if (one == PT_LAZY_DATA)
			content = PT_LAZY_DATA;
		else
			memset(to + i * PT_PAGE_SZ, 0, PT_PAGE_SZ);
	}
	return content;
}

/* ---- large pages ---- */

/* is_small: memory of 4096-byte pages is behind a large page that is there in part.  The
 * kernel refuses a part of a true large page.  Where nothing is any more, zero is
 * right. */
static bool is_small(const struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		     __u64 page)
{
	__u64 there = 0;

	return pt_place_zero(s->cfg.uffd, addr_of(region, page), PT_PAGE_SZ, PT_PAGE_SZ,
			     &there) != -EINVAL;
}

/* put_apart answers a large page by those of 4096 bytes. */
static long put_apart(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		      __u64 page, __u64 asked)
{
	__u64 end = page + region->page_sz / PT_PAGE_SZ;
	struct pt_lazy_region small = *region;
	long placed = 0;

	small.page_sz = PT_PAGE_SZ;
	for (; page < end; page++) {
		long one = 0;

		if (page == asked || pt_lazy_is_pending(s->r, page))
			one = pt_lazy_answer(s, &small, page, asked);
		if (one < 0 && (one != -EOPNOTSUPP || page == asked))
			return one;
		placed += one > 0 ? one : 0;
	}
	return placed;
}

/* put_large places the large page in the buffer.  Where a part was there before, or is
 * mapped by itself, each part is placed alone. */
static long put_large(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		      __u64 page, __u64 asked, __u64 *count)
{
	__u64 there = 0, cnt = region->page_sz / PT_PAGE_SZ;
	long got = pt_place_copy(s->cfg.uffd, addr_of(region, page), s->buffer,
				 region->page_sz, region->page_sz, &there);

	if (is_nowhere(got) || (got >= 0 && (__u64)got < region->page_sz) ||
	    (there && is_small(s, region, page)))
		return put_apart(s, region, page, asked);
	got = took(s, region, got, page, cnt);
	if (got < 0)
		return got;
	cnt = pt_lazy_settle(s->r, page, cnt);
	if (there)
		count = &s->r->counts.there;
	if (count)
		*count += cnt;
	return count ? 0 : (long)cnt;
}

/* ---- damage ---- */

void pt_lazy_lost_tell(struct pt_lazy_serve *s)
{
	if (s->lost.cnt)
		s->cfg.damaged(s->cfg.arg, s->lost.first, s->lost.cnt,
			       s->lost.is_poisoned);
	s->lost.cnt = 0;
}

static void lost_add(struct pt_lazy_serve *s, __u64 first, __u64 cnt, bool is_poisoned)
{
	if (s->lost.cnt && (s->lost.first + s->lost.cnt != first ||
			    s->lost.is_poisoned != is_poisoned))
		pt_lazy_lost_tell(s);
	if (!s->lost.cnt)
		s->lost = (struct pt_lazy_lost){ .first = first,
						 .is_poisoned = is_poisoned };
	s->lost.cnt += cnt;
}

static long put_poison(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		       __u64 page, __u64 asked)
{
	__u64 cnt = region->page_sz / PT_PAGE_SZ, there = 0;
	long got = pt_place_poison(s->cfg.uffd, addr_of(region, page),
				   region->page_sz, &there);

	if (got == -EOPNOTSUPP) {
		if (!s->is_stuck)
			lost_add(s, pt_lazy_image_page(region, page), cnt, false);
		s->is_stuck = true;
		return got;
	}
	if (cnt > 1 && there && is_small(s, region, page))
		return put_apart(s, region, page, asked);
	got = took(s, region, got, page, cnt);
	if (got < 0)
		return got;
	s->r->counts.poisoned += pt_lazy_settle(s->r, page, got);
	lost_add(s, pt_lazy_image_page(region, page), got, true);
	return (__u64)got < cnt ? put_apart(s, region, page, asked) : 0;
}

/* ---- faults ---- */

bool pt_lazy_has_pending(const struct pt_lazy_serve *s,
			 const struct pt_lazy_region *region, __u64 page)
{
	return pt_lazy_next_pending(s->r, page) <
	       page + region->page_sz / PT_PAGE_SZ;
}

long pt_lazy_answer(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		    __u64 page, __u64 asked)
{
	bool is_pending = pt_lazy_has_pending(s, region, page);
	enum pt_lazy_content content = PT_LAZY_ZERO;
	__u64 placed;

	if (is_pending)
		content = load(s, region, page, s->buffer);
	if (content == PT_LAZY_LOST)
		return put_poison(s, region, page, asked);
	if (region->page_sz > PT_PAGE_SZ) {
		if (!is_pending)
			memset(s->buffer, 0, region->page_sz);
		return put_large(s, region, page, asked, content == PT_LAZY_ZERO
				 ? &s->r->counts.zero : NULL);
	}
	if (content == PT_LAZY_ZERO)
		return put_zero(s, region, page);
	placed = put(s, region, page, s->buffer, 1);
	return pt_lazy_is_pending(s->r, page) ? -EAGAIN : (long)placed;
}

long pt_lazy_continue(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		      __u64 page, __u64 asked)
{
	__u64 cnt = 1;
	long got = pt_place_continue(s->cfg.uffd, addr_of(region, asked), PT_PAGE_SZ);

	/* The kernel refuses a part of a true large page. */
	if (got == -EINVAL && region->page_sz > PT_PAGE_SZ) {
		asked = page;
		cnt = region->page_sz / PT_PAGE_SZ;
		got = pt_place_continue(s->cfg.uffd, addr_of(region, page),
					region->page_sz);
	}
	if (got == -EFAULT) {	/* it was punched since: the thread asks again */
		pt_place_wake(s->cfg.uffd, addr_of(region, asked), cnt * PT_PAGE_SZ);
		return 0;
	}
	got = took(s, region, got, asked, cnt);
	if (got > 0)
		s->r->counts.there += pt_lazy_settle(s->r, asked, cnt);
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
		put_poison(s, region, page, page);
	else	/* a fault there is answered with zeroes from now on */
		s->r->counts.zero += pt_lazy_settle(s->r, page, 1);
}

static __u64 place_large(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
			 __u64 page)
{
	long placed = 0;

	page -= (page - region->first) % (region->page_sz / PT_PAGE_SZ);
	if (pt_lazy_has_pending(s, region, page))
		placed = pt_lazy_answer(s, region, page, PT_LAZY_NOT_ASKED);
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
