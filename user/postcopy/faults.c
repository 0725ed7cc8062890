/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The faults of the guest, and what it gives away. */
#include "postcopy/postcopy_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"
#include "lazy/place.h"

#define ASK_AGAIN_NS	50000000ULL	/* a frame may be lost */
#define LOOK_MS		20		/* while some wait */
#define ZERO_MS		1		/* while a removal hinders an answer, or some are
					 * not in the list */
#define READS_MAX	64		/* in a row: others place pages, too */
#define QUIET_MS	50		/* without an event, after the last page */

static size_t bits_sz(const struct pt_postcopy *p)
{
	return (p->r->page_cnt + 63) / 64 * sizeof(__u64);
}

static void wake_all(const struct pt_postcopy *p)
{
	for (__u32 i = 0; i < p->found.region_cnt; i++)
		pt_place_wake(p->uffd, p->found.regions[i].addr, p->found.regions[i].sz);
}

/* ---- what is asked for ---- */

/* ask has control tell the sender; a list that is full loses it until it is asked for
 * again. */
static void ask(struct pt_postcopy *p, __u64 page)
{
	const struct pt_lazy_region *region = pt_lazy_region_of(p->r, page);

	pthread_mutex_lock(&p->ask_lock);
	if (p->ask_cnt < PT_POSTCOPY_WAITING_MAX)
		p->asks[p->ask_cnt++] = region->off / PT_PAGE_SZ + page - region->first;
	if (p->wake_fd >= 0)
		eventfd_write(p->wake_fd, 1);
	pthread_mutex_unlock(&p->ask_lock);
}

static void put_ascending(__u64 *pages, __u32 *cnt, __u64 page)
{
	__u32 at = *cnt;

	while (at && pages[at - 1] > page)
		at--;
	if (at && pages[at - 1] == page)
		return;
	memmove(pages + at + 1, pages + at, (*cnt - at) * sizeof(*pages));
	pages[at] = page;
	++*cnt;
}

__u32 pt_postcopy_wanted(struct pt_postcopy *p, __u64 *pages, __u32 max)
{
	__u32 cnt = 0, taken = 0;

	pthread_mutex_lock(&p->ask_lock);
	while (taken < p->ask_cnt && cnt < max)
		put_ascending(pages, &cnt, p->asks[taken++]);
	p->ask_cnt -= taken;
	memmove(p->asks, p->asks + taken, p->ask_cnt * sizeof(*p->asks));
	pthread_mutex_unlock(&p->ask_lock);
	return cnt;
}

void pt_postcopy_tell(struct pt_postcopy *p, int wake_fd)
{
	pthread_mutex_lock(&p->ask_lock);
	p->wake_fd = wake_fd;
	pthread_mutex_unlock(&p->ask_lock);
}

/* ---- who waits ---- */

bool pt_postcopy_is_waited_for(const struct pt_postcopy *p, __u64 page)
{
	return pt_postcopy_bit(p->waits, page);
}

static void set_bit(__u64 *bits, __u64 page)
{
	bits[page / 64] |= 1ULL << (page % 64);
}

static void clear_bit(__u64 *bits, __u64 page)
{
	bits[page / 64] &= ~(1ULL << (page % 64));
}

/* next_bit returns the first page from page on whose bit is set; end: none below it. */
static __u64 next_bit(const __u64 *bits, __u64 page, __u64 end)
{
	while (page < end) {
		__u64 word = bits[page / 64] >> (page % 64);

		if (word)
			page += __builtin_ctzll(word);
		if (word)
			return page < end ? page : end;
		page = (page / 64 + 1) * 64;
	}
	return end;
}

/* leave: nobody waits for the page any more; its place in the list is the caller's. */
static void leave(struct pt_postcopy *p, __u64 page)
{
	clear_bit(p->waits, page);
	if (!pt_postcopy_bit(p->unlisted, page))
		return;
	clear_bit(p->unlisted, page);
	p->unlisted_cnt--;
}

void pt_postcopy_answered(struct pt_postcopy *p, __u64 page)
{
	__u32 left = 0;

	if (!pt_postcopy_is_waited_for(p, page))
		return;
	leave(p, page);
	for (__u32 i = 0; i < p->waiting_cnt; i++) {
		const struct pt_postcopy_waiting *w = &p->waiting[i];

		if (w->page == page)
			pt_latency_add(&p->counts.latency, pt_clock_ns() - w->read_ns);
		else
			p->waiting[left++] = *w;
	}
	p->waiting_cnt = left;
}

/* list gives a page a place, and asks for it. */
static void list(struct pt_postcopy *p, __u64 page, __u64 now_ns)
{
	struct pt_postcopy_waiting *w = &p->waiting[p->waiting_cnt++];

	*w = (struct pt_postcopy_waiting){
		.page = page, .read_ns = now_ns, .asked_ns = now_ns,
		.is_zero = !pt_lazy_is_pending(p->r, page),
	};
	if (!w->is_zero)
		ask(p, page);
}

/* fault: the thread that touched the address waits until it is woken.  A page has one
 * entry, whoever waits for it: an answer wakes all, and a thread that leaves its wait by a
 * signal faults again. */
static void fault(struct pt_postcopy *p, __u64 addr, __u64 now_ns)
{
	const struct pt_lazy_region *region = pt_lazy_region_at(p->r, addr);
	__u64 page;

	if (!region)
		return;
	page = region->first + (addr - region->addr) / PT_PAGE_SZ;
	if (pt_postcopy_is_waited_for(p, page))
		return;
	set_bit(p->waits, page);
	p->counts.faults += pt_lazy_is_pending(p->r, page);
	if (p->waiting_cnt < PT_POSTCOPY_WAITING_MAX) {
		list(p, page, now_ns);
		return;
	}
	set_bit(p->unlisted, page);
	p->unlisted_cnt++;
}

/* list_rest gives places to those that had none. */
static void list_rest(struct pt_postcopy *p)
{
	__u64 page = 0, now_ns = pt_clock_ns();

	while (p->unlisted_cnt && p->waiting_cnt < PT_POSTCOPY_WAITING_MAX) {
		page = next_bit(p->unlisted, page, p->r->page_cnt);
		clear_bit(p->unlisted, page);
		p->unlisted_cnt--;
		list(p, page, now_ns);
	}
}

/* removal: those who wait there ask again, and get zeroes. */
static void removal(struct pt_postcopy *p, __u64 start, __u64 end)
{
	__u32 left = 0;

	pt_lazy_remove(p->r, start, end);
	for (__u32 i = 0; i < p->waiting_cnt; i++) {
		__u64 addr = pt_postcopy_addr(p, p->waiting[i].page);

		if (addr < start || addr >= end)
			p->waiting[left++] = p->waiting[i];
	}
	p->waiting_cnt = left;
	for (__u32 i = 0; i < p->r->region_cnt; i++) {
		const struct pt_lazy_region *region = &p->r->regions[i];
		__u64 from = start > region->addr ? start - region->addr : 0;
		__u64 upto = end > region->addr ? end - region->addr : 0;
		__u64 page = region->first + from / PT_PAGE_SZ;
		__u64 last = upto < region->sz ? upto : region->sz;

		last = region->first + last / PT_PAGE_SZ;
		while ((page = next_bit(p->waits, page, last)) < last) {
			leave(p, page);
			pt_place_wake(p->uffd, pt_postcopy_addr(p, page), PT_PAGE_SZ);
		}
	}
}

/* take handles the events in the record. */
static void take(struct pt_postcopy *p)
{
	const struct uffd_msg *msg = p->r->events;
	__u64 now_ns = pt_clock_ns();

	for (__u32 i = 0; i < PT_LAZY_EVENTS; i++) {
		if (msg[i].event == UFFD_EVENT_REMOVE || msg[i].event == UFFD_EVENT_UNMAP)
			removal(p, msg[i].arg.remove.start, msg[i].arg.remove.end);
		else if (msg[i].event == UFFD_EVENT_PAGEFAULT)
			fault(p, msg[i].arg.pagefault.address / PT_PAGE_SZ * PT_PAGE_SZ,
			      now_ns);
	}
}

/* read_some reads what fits into the record: a removal that was read is there even if
 * this process is killed right after the call. */
static bool read_some(struct pt_postcopy *p)
{
	ssize_t got;

	memset(p->r->events, 0, sizeof(p->r->events));
	got = read(p->uffd, p->r->events, sizeof(p->r->events));
	if (got > 0)
		take(p);
	return got > 0;
}

/* answer_zero returns whether the page could not be answered yet, since a removal is under
 * way. */
static bool answer_zero(struct pt_postcopy *p, __u64 page)
{
	__u64 addr = pt_postcopy_addr(p, page), there = 0;
	long got = pt_place_zero(p->uffd, addr, PT_PAGE_SZ, PT_PAGE_SZ, &there);

	if (got == -EAGAIN || got == -ENOMEM || got == -ENOSPC)
		return true;
	leave(p, page);
	if (got < 0)
		pt_place_wake(p->uffd, addr, PT_PAGE_SZ);
	return false;
}

/* answer_zeroes answers those that wait for nothing, in the list or not; returns whether
 * some are left. */
static bool answer_zeroes(struct pt_postcopy *p)
{
	__u32 left = 0;
	bool is_left = false;

	for (__u32 i = 0; i < p->waiting_cnt; i++) {
		const struct pt_postcopy_waiting w = p->waiting[i];
		bool stays = !w.is_zero || answer_zero(p, w.page);

		is_left |= w.is_zero && stays;
		if (stays)
			p->waiting[left++] = w;
	}
	p->waiting_cnt = left;
	for (__u64 page = 0, left_cnt = p->unlisted_cnt; left_cnt; left_cnt--, page++) {
		page = next_bit(p->unlisted, page, p->r->page_cnt);
		if (!pt_lazy_is_pending(p->r, page))
			is_left |= answer_zero(p, page);
	}
	return is_left;
}

/* ask_again asks for pages that did not come for some time. */
static void ask_again(struct pt_postcopy *p)
{
	__u64 now_ns = pt_clock_ns();

	for (__u32 i = 0; i < p->waiting_cnt; i++) {
		struct pt_postcopy_waiting *w = &p->waiting[i];

		if (w->is_zero || now_ns - w->asked_ns < ASK_AGAIN_NS)
			continue;
		w->asked_ns = now_ns;
		ask(p, w->page);
	}
}

static void *faults_main(void *arg)
{
	struct pt_postcopy *p = arg;
	struct pollfd fds[] = {
		{ .fd = p->uffd, .events = POLLIN },
		{ .fd = p->stop_fd, .events = POLLIN },
	};
	int wait_ms = LOOK_MS;

	for (;;) {
		poll(fds, 2, wait_ms);
		if (fds[1].revents)
			return NULL;
		pthread_mutex_lock(&p->lock);
		for (int i = 0; i < READS_MAX && read_some(p); i++)
			;
		list_rest(p);
		wait_ms = answer_zeroes(p) || p->unlisted_cnt ? ZERO_MS
			: p->waiting_cnt ? LOOK_MS : -1;
		ask_again(p);
		pthread_mutex_unlock(&p->lock);
	}
}

static void forget_all(struct pt_postcopy *p)
{
	p->waiting_cnt = 0;
	p->unlisted_cnt = 0;
	memset(p->waits, 0, bits_sz(p));
	memset(p->unlisted, 0, bits_sz(p));
}

/* take_over: the events in the record may not have been handled, and threads may wait
 * whose faults were read: they ask again. */
static void take_over(struct pt_postcopy *p)
{
	pthread_mutex_lock(&p->lock);
	take(p);
	p->may_be_there = p->note->placing - 1;	/* 0: PT_POSTCOPY_NONE */
	forget_all(p);
	wake_all(p);
	pthread_mutex_unlock(&p->lock);
}

int pt_postcopy_serve(struct pt_postcopy *p, struct pt_error *err)
{
	int code;

	if (!p->waits)
		p->waits = calloc(1, bits_sz(p));
	if (!p->unlisted)
		p->unlisted = calloc(1, bits_sz(p));
	if (!p->waits || !p->unlisted)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	if (p->r->server_cnt > 1)
		take_over(p);
	p->stop_fd = eventfd(0, EFD_CLOEXEC);
	code = p->stop_fd < 0 ? -errno
		: pt_thread_start(&p->thread, faults_main, p, "pt-faults");
	p->has_thread = !code;
	if (!code)
		code = pt_postcopy_watch(p);
	return code ? pt_error_set(err, PT_EXIT_HOST, code, "no thread for the guest's "
				   "faults: %s", strerror(-code)) : 0;
}

void pt_postcopy_faults_end(struct pt_postcopy *p)
{
	if (p->stop_fd >= 0)
		eventfd_write(p->stop_fd, 1);
	if (p->has_thread)
		pthread_join(p->thread, NULL);
	p->has_thread = false;
	pt_postcopy_watch_end(p);
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	p->stop_fd = -1;
}

/* As lazy/serve.c: a thread that begins to wait while a region is unregistered would wait
 * for ever, and so would one whose removal is not read. */
void pt_postcopy_release(struct pt_postcopy *p)
{
	struct pollfd fd = { .fd = p->uffd, .events = POLLIN };
	struct uffd_msg msg[PT_LAZY_EVENTS];

	for (__u32 i = 0; i < p->found.region_cnt; i++)
		pt_place_unregister(p->uffd, p->found.regions[i].addr,
				    p->found.regions[i].sz);
	do
		wake_all(p);
	while (poll(&fd, 1, QUIET_MS) > 0 && read(p->uffd, msg, sizeof(msg)) > 0);
	wake_all(p);
}
