/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Places what came, where it lacks. */
#include "postcopy/postcopy_impl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "lazy/place.h"

#define PATIENCE_MS	10000	/* that a page may lack memory, or a removal last */
#define PAUSE_MS	1

/* The ways to place a page. */
enum what {
	COPY,
	ZERO,		/* only where somebody waits: others get zeroes when they ask */
	LOST,		/* the source could not read it */
};

/* place_by: *there grows if the page was there. */
static long place_by(struct pt_postcopy *p, enum what what, __u64 page, const void *bytes,
		     __u64 *there)
{
	__u64 addr = pt_postcopy_addr(p, page);

	if (what == COPY)
		return pt_place_copy(p->uffd, addr, bytes, PT_PAGE_SZ, PT_PAGE_SZ, there);
	if (what == LOST)
		return pt_place_poison(p->uffd, addr, PT_PAGE_SZ, there);
	if (!pt_postcopy_is_waited_for(p, page))
		return PT_PAGE_SZ;
	return pt_place_zero(p->uffd, addr, PT_PAGE_SZ, PT_PAGE_SZ, there);
}

/* was_there: another process, or the kernel, put a page where this one lacked, and the
 * guest may have read it; unless a process of ours placed it, and was killed before it
 * could settle it. */
static void was_there(struct pt_postcopy *p, __u64 page)
{
	const struct pt_lazy_region *region = pt_lazy_region_of(p->r, page);

	if (page != p->may_be_there && !p->note->foreign_cnt++)
		p->note->foreign_page = region->off / PT_PAGE_SZ + page - region->first;
}

/* try returns 0 if the page does not lack any more; or -errno. */
static int try(struct pt_postcopy *p, enum what what, __u64 page, const void *bytes)
{
	long got = PT_PAGE_SZ;
	__u64 there = 0;

	pthread_mutex_lock(&p->lock);
	if (pt_lazy_is_pending(p->r, page)) {
		__atomic_store_n(&p->note->placing, page + 1, __ATOMIC_RELEASE);
		got = place_by(p, what, page, bytes, &there);
		/* Nothing is mapped there any more: threads ask the kernel again. */
		if (got == -ENOENT || got == -EFAULT)
			got = pt_place_wake(p->uffd, pt_postcopy_addr(p, page),
					    PT_PAGE_SZ);
		if (there)
			was_there(p, page);
		if (got >= 0) {
			pt_lazy_settle(p->r, page, 1);
			pt_postcopy_answered(p, page);
		}
		__atomic_store_n(&p->note->placing, 0, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&p->lock);
	return got < 0 ? got : 0;
}

static int failed(int code, struct pt_error *err)
{
	if (code == -ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, code, "QEMU has ended, while pages "
				    "of its guest were to come");
	return pt_error_set(err, PT_EXIT_HOST, code, "a page of the guest that runs cannot "
			    "be placed: %s", code == -ENOMEM || code == -ENOSPC ?
			    "no memory for some time (free some)" : strerror(-code));
}

/* place waits for memory, and for the end of a removal, whose event the other thread
 * reads. */
static int place(struct pt_postcopy *p, enum what what, __u64 image_page,
		 const void *bytes, struct pt_error *err)
{
	__u64 until_ns = 0, page;
	int code;

	if (!pt_lazy_page_find(p->r, image_page, &page))
		return 0;
	for (;;) {
		code = try(p, what, page, bytes);
		if (code != -EAGAIN && code != -ENOMEM && code != -ENOSPC)
			break;
		until_ns = until_ns ? until_ns : pt_deadline_ns(PATIENCE_MS);
		if (!pt_left_ms(until_ns))
			break;
		poll(NULL, 0, PAUSE_MS);
	}
	return code ? failed(code, err) : 0;
}

int pt_postcopy_page(struct pt_postcopy *p, __u64 page, const void *bytes,
		     struct pt_error *err)
{
	return place(p, COPY, page, bytes, err);
}

int pt_postcopy_zero(struct pt_postcopy *p, __u64 page, __u64 cnt, struct pt_error *err)
{
	int code = 0;

	for (__u64 i = 0; !code && i < cnt; i++)
		code = place(p, ZERO, page + i, NULL, err);
	return code;
}

int pt_postcopy_lose(struct pt_postcopy *p, __u64 page, __u64 cnt, struct pt_error *err)
{
	int code = 0;

	for (__u64 i = 0; !code && i < cnt; i++)
		code = place(p, LOST, page + i, NULL, err);
	return code;
}
