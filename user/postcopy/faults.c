/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The faults of the guest, and what it gives away. */
#include "postcopy/postcopy_impl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"
#include "lazy/place.h"

#define ASK_AGAIN_NS	50000000ULL	/* a frame may be lost */
#define LOOK_MS		20		/* while some wait */
#define ZERO_MS		1		/* while a removal hinders an answer */
#define QUIET_MS	50		/* without an event, after the last page */

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
	for (__u32 i = 0; i < p->waiting_cnt; i++)
		if (p->waiting[i].page == page)
			return true;
	return false;
}

void pt_postcopy_answered(struct pt_postcopy *p, __u64 page)
{
	__u32 left = 0;

	for (__u32 i = 0; i < p->waiting_cnt; i++) {
		const struct pt_postcopy_waiting *w = &p->waiting[i];

		if (w->page == page)
			pt_latency_add(&p->counts.latency, pt_clock_ns() - w->read_ns);
		else
			p->waiting[left++] = *w;
	}
	p->waiting_cnt = left;
}

/* fault: the thread that touched the address waits until it is woken.  A page has one
 * entry, whoever waits for it: an answer wakes all, and a thread that leaves its wait by a
 * signal faults again. */
static void fault(struct pt_postcopy *p, __u64 addr, __u64 now_ns)
{
	const struct pt_lazy_region *region = pt_lazy_region_at(p->r, addr);
	struct pt_postcopy_waiting *w;
	__u64 page;

	if (!region)
		return;
	page = region->first + (addr - region->addr) / PT_PAGE_SZ;
	if (pt_postcopy_is_waited_for(p, page))
		return;
	if (p->waiting_cnt == PT_POSTCOPY_WAITING_MAX) {
		pt_place_wake(p->uffd, addr, PT_PAGE_SZ);	/* it asks again */
		return;
	}
	w = &p->waiting[p->waiting_cnt++];
	*w = (struct pt_postcopy_waiting){
		.page = page, .read_ns = now_ns,
	};
	w->is_zero = !pt_lazy_is_pending(p->r, page);
	if (w->is_zero)
		return;
	w->asked_ns = now_ns;
	p->counts.faults++;
	ask(p, page);
}

/* removal: those who wait there ask again, and get zeroes. */
static void removal(struct pt_postcopy *p, __u64 start, __u64 end)
{
	__u32 left = 0;

	pt_lazy_remove(p->r, start, end);
	for (__u32 i = 0; i < p->waiting_cnt; i++) {
		__u64 addr = pt_postcopy_addr(p, p->waiting[i].page);

		if (addr >= start && addr < end)
			pt_place_wake(p->uffd, addr, PT_PAGE_SZ);
		else
			p->waiting[left++] = p->waiting[i];
	}
	p->waiting_cnt = left;
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

/* answer_zeroes answers those that wait for nothing; returns whether some could not be
 * answered yet, since a removal is under way. */
static bool answer_zeroes(struct pt_postcopy *p)
{
	__u32 left = 0;
	__u64 there = 0;
	bool is_left = false;

	for (__u32 i = 0; i < p->waiting_cnt; i++) {
		const struct pt_postcopy_waiting w = p->waiting[i];
		__u64 addr = pt_postcopy_addr(p, w.page);
		long got = w.is_zero ? pt_place_zero(p->uffd, addr, PT_PAGE_SZ,
						     PT_PAGE_SZ, &there) : -EAGAIN;

		if (got == -EAGAIN || got == -ENOMEM || got == -ENOSPC) {
			is_left |= w.is_zero;
			p->waiting[left++] = w;
		} else if (got < 0) {
			pt_place_wake(p->uffd, addr, PT_PAGE_SZ);
		}
	}
	p->waiting_cnt = left;
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
		while (read_some(p))
			;
		wait_ms = answer_zeroes(p) ? ZERO_MS : p->waiting_cnt ? LOOK_MS : -1;
		ask_again(p);
		pthread_mutex_unlock(&p->lock);
	}
}

/* take_over: the events in the record may not have been handled, and threads may wait
 * whose faults were read: they ask again. */
static void take_over(struct pt_postcopy *p)
{
	pthread_mutex_lock(&p->lock);
	take(p);
	p->may_be_there = p->note->placing - 1;	/* 0: PT_POSTCOPY_NONE */
	p->waiting_cnt = 0;
	wake_all(p);
	pthread_mutex_unlock(&p->lock);
}

int pt_postcopy_serve(struct pt_postcopy *p, struct pt_error *err)
{
	int code;

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
