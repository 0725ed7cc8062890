// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/serve_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "lazy/place.h"
#include "lazy/step.h"
#include "memory/layout.h"

#define LOOK_STEPS	32	/* units between two looks at what else may end it */
#define PAUSE_MS	20	/* between attempts at pages that could not be placed */
#define IDLE_MS		1000
#define GONE_MS		1000	/* between looks at the VMM */
#define QUIET_MS	50	/* without an event, after the last page */
#define READS_MAX	64	/* before faults are answered */
#define VISITS_MAX	1024	/* pages of the order that are looked at in one step */
#define SPINS		64	/* turns without a pause, while a removal is under way */
#define WAIT_MS		1

static void complain(const struct pt_lazy_serve *s, const char *text)
{
	s->cfg.warn(s->cfg.arg, text);
}

/* ---- faults ---- */

/* fault answers one; returns false if it must wait. */
static bool fault(struct pt_lazy_serve *s, struct pt_lazy_waiting *w)
{
	const struct pt_lazy_region *region = pt_lazy_region_at(s->r, w->addr);
	__u64 page, asked;
	bool is_pending;
	long placed;

	if (!region) {
		complain(s, "a fault outside of the regions that the VMM "
			    "named is not answered");
		w->is_hopeless = true;
		return false;
	}
	asked = region->first + (w->addr - region->addr) / PT_PAGE_SZ;
	page = asked - (asked - region->first) % (region->page_sz / PT_PAGE_SZ);
	is_pending = pt_lazy_has_pending(s, region, page);
	placed = w->is_minor ? pt_lazy_continue(s, region, page, asked)
			     : pt_lazy_answer(s, region, page, asked);
	w->is_hopeless = placed == -EOPNOTSUPP;
	if (placed < 0)
		return false;
	s->r->counts.faults++;
	s->r->counts.served += placed;
	pt_latency_add(&s->latency, pt_clock_ns() - w->read_ns);
	pt_lazy_enter(NULL, PT_LAZY_ANSWERED_STEP);
	if (is_pending)
		s->r->counts.served += pt_lazy_place_unit(s, page, true);
	return true;
}

/* answer_some answers faults that wait, in their order, up to the first that must wait
 * on: a removal or a lack of memory hinders all.  Returns whether it answered any. */
static bool answer_some(struct pt_lazy_serve *s)
{
	__u32 left = 0, done = 0, hopeless = 0;
	bool is_blocked = false;

	for (__u32 i = 0; i < s->waiting_cnt; i++) {
		struct pt_lazy_waiting w = s->waiting[i];

		if (!w.is_hopeless && !is_blocked && done < PT_LAZY_EVENTS &&
		    !pt_lazy_has_ended(s)) {
			if (fault(s, &w)) {
				done++;
				continue;
			}
			is_blocked = !w.is_hopeless;
		}
		hopeless += w.is_hopeless;
		s->waiting[left++] = w;
	}
	s->waiting_cnt = left;
	s->hopeless_cnt = hopeless;
	return done;
}

/* make_room drops the hopeless faults of a full list: the time of the oldest stays. */
static void make_room(struct pt_lazy_serve *s)
{
	__u32 left = 0;

	for (__u32 i = 0; i < s->waiting_cnt; i++) {
		const struct pt_lazy_waiting *w = &s->waiting[i];

		if (!w->is_hopeless)
			s->waiting[left++] = *w;
		else if (!s->hopeless_since_ns)
			s->hopeless_since_ns = w->read_ns;
	}
	s->waiting_cnt = left;
	s->hopeless_cnt = 0;
}

static void fault_keep(struct pt_lazy_serve *s, const struct uffd_msg *msg, __u64 now)
{
	__u64 addr = msg->arg.pagefault.address / PT_PAGE_SZ * PT_PAGE_SZ;

	if (s->waiting_cnt == PT_LAZY_WAITING_MAX)
		make_room(s);
	if (s->waiting_cnt == PT_LAZY_WAITING_MAX) {
		pt_place_wake(s->cfg.uffd, addr, PT_PAGE_SZ);	/* it asks again */
		return;
	}
	s->waiting[s->waiting_cnt++] = (struct pt_lazy_waiting){
		.addr = addr, .read_ns = now, .is_minor =
			msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR,
	};
}

/* tell_keeper since when a fault waits that was read. */
static void tell_keeper(const struct pt_lazy_serve *s)
{
	__u64 since = s->hopeless_since_ns;

	if (s->waiting_cnt && (!since || s->waiting[0].read_ns < since))
		since = s->waiting[0].read_ns;
	__atomic_store_n(&s->r->waits_since_ns, since, __ATOMIC_RELEASE);
}

/* ---- events ---- */

/* removal: a hopeless fault there gets zeroes now, if its thread asks again. */
static void removal(struct pt_lazy_serve *s, __u64 start, __u64 end)
{
	__u32 left = 0;

	s->r->counts.removed += pt_lazy_remove(s->r, start, end);
	for (__u32 i = 0; i < s->waiting_cnt; i++) {
		const struct pt_lazy_waiting *w = &s->waiting[i];

		if (w->is_hopeless && w->addr >= start && w->addr < end) {
			pt_place_wake(s->cfg.uffd, w->addr, PT_PAGE_SZ);
			s->hopeless_cnt--;
		} else {
			s->waiting[left++] = *w;
		}
	}
	s->waiting_cnt = left;
}

/* take handles the events in the record; its faults wait from now on. */
static void take(struct pt_lazy_serve *s)
{
	const struct uffd_msg *msg = s->r->events;
	__u64 now = pt_clock_ns();

	for (__u32 i = 0; i < PT_LAZY_EVENTS; i++) {
		if (msg[i].event == UFFD_EVENT_REMOVE ||
		    msg[i].event == UFFD_EVENT_UNMAP)
			removal(s, msg[i].arg.remove.start, msg[i].arg.remove.end);
		else if (msg[i].event == UFFD_EVENT_PAGEFAULT)
			fault_keep(s, &msg[i], now);
		else if (msg[i].event == UFFD_EVENT_REMAP)
			complain(s, "the VMM moved memory: faults there "
				    "are not answered");
	}
}

/* enter_read: of several events the first counts. */
static void enter_read(const struct pt_lazy_serve *s)
{
	pt_lazy_enter(NULL, s->r->events[0].event == UFFD_EVENT_PAGEFAULT
		      ? PT_LAZY_FAULT_STEP : PT_LAZY_REMOVAL_STEP);
}

/* read_some reads what fits into the record; returns whether there may be more.  The
 * events in the record were handled before: a removal is never written over. */
static bool read_some(struct pt_lazy_serve *s, bool *any)
{
	ssize_t got;

	memset(s->r->events, 0, sizeof(s->r->events));
	got = read(s->cfg.uffd, s->r->events, sizeof(s->r->events));
	if (got > 0) {
		*any = true;
		__atomic_fetch_add(&s->r->read_cnt, 1, __ATOMIC_RELAXED);
		enter_read(s);
		take(s);
		tell_keeper(s);
	} else if (got < 0 && errno != EAGAIN && errno != EINTR) {
		s->code = -errno;
	}
	return got == sizeof(s->r->events);
}

/* events reads all that there are, and only then answers: the kernel gives faults before
 * removals, and as long as one removal is unread no page can be placed.  Faults that
 * are not woken do not come again, so that the removals get their turn.  Returns whether
 * there was any, or an answer. */
static bool events(struct pt_lazy_serve *s)
{
	bool any = false;
	__u32 reads = 0;

	while (read_some(s, &any) && ++reads < READS_MAX)
		;
	if (answer_some(s))
		any = true;
	tell_keeper(s);
	return any;
}

/* ---- the fill ---- */

/* next_of_order finds the next pending page of the recorded order, or goes some steps
 * on; returns whether it found one. */
static bool next_of_order(struct pt_lazy_serve *s, __u64 *page)
{
	const struct pt_lazy_run *run = &s->cfg.order->runs[s->run_idx];

	for (__u32 i = 0; i < VISITS_MAX && s->run_page < run->cnt; i++)
		if (pt_lazy_page_find(s->r, run->page + s->run_page++, page) &&
		    pt_lazy_is_pending(s->r, *page))
			return true;
	if (s->run_page == run->cnt) {
		s->run_idx++;
		s->run_page = 0;
	}
	return false;
}

/* skip_zeroes settles the pages from page on that are zero for sure; returns whether
 * page is one. */
static bool skip_zeroes(struct pt_lazy_serve *s, __u64 page)
{
	const struct pt_lazy_region *region = pt_lazy_region_of(s->r, page);
	__u64 left = region->sz / PT_PAGE_SZ - (page - region->first);
	__u64 cnt = pt_lazy_image_zeroes(s->cfg.image, pt_lazy_image_page(region, page));
	__u64 per = region->page_sz / PT_PAGE_SZ;

	cnt = (cnt < left ? cnt : left) / per * per;
	s->r->counts.zero += pt_lazy_settle(s->r, page, cnt);
	return cnt;
}

/* fill places one unit; returns false once all pages were visited. */
static bool fill(struct pt_lazy_serve *s)
{
	__u64 page;

	if (s->cfg.order && s->run_idx < s->cfg.order->cnt) {
		if (!next_of_order(s, &page))
			return true;
	} else {
		page = s->at = pt_lazy_next_pending(s->r, s->at);
		if (page >= s->r->page_cnt)
			return false;
		if (skip_zeroes(s, page))
			return true;
		/* A page that is pending still is visited again at the next turn. */
		s->at++;
	}
	s->r->counts.filled += pt_lazy_place_unit(s, page, false);
	pt_lazy_enter(NULL, PT_LAZY_FILLED_STEP);
	return true;
}

/* ---- the loop ---- */

/* vmm_has_ended asks the userfaultfd, once the process that connected ended, and now and
 * then if there is none: another one may have the memory. */
static bool vmm_has_ended(struct pt_lazy_serve *s, bool has_ended)
{
	__u64 now = pt_clock_ns();

	if (has_ended)
		s->cfg.pidfd = -1;
	else if (s->cfg.pidfd >= 0 || now < s->gone_at_ns)
		return false;
	s->gone_at_ns = now + GONE_MS * 1000000ULL;
	return pt_place_is_gone(s->cfg.uffd);
}

/* look waits for events, or only looks; returns whether to go on. */
static bool look(struct pt_lazy_serve *s, int ms, enum pt_lazy_end *end)
{
	struct pollfd fds[] = {
		{ .fd = s->cfg.stop_fd, .events = POLLIN },
		{ .fd = s->cfg.pidfd, .events = POLLIN },
		{ .fd = s->cfg.uffd, .events = POLLIN },
		{ .fd = s->cfg.keeper_fd, .events = POLLIN },
	};

	if (ms)
		pt_lazy_lost_tell(s);
	poll(fds, 4, ms);
	if (fds[3].revents) {
		s->cfg.keeper_fd = -1;
		complain(s, "the keeper of the guest's descriptor was "
			    "ended: if this process dies, too, the guest reads zeroes "
			    "unless the VMM has the descriptor open");
	}
	if (fds[0].revents) {
		*end = PT_LAZY_STOPPED;
		return false;
	}
	if (vmm_has_ended(s, fds[1].revents)) {
		*end = PT_LAZY_GONE;
		return false;
	}
	return true;
}

/* wake_all: threads whose faults were read before, or came while a region ended. */
static void wake_all(const struct pt_lazy_serve *s)
{
	for (__u32 i = 0; i < s->r->region_cnt; i++)
		pt_place_wake(s->cfg.uffd, s->r->regions[i].addr,
			      s->r->regions[i].sz);
}

/* release makes ordinary memory of all regions.  The kernel wakes their threads before
 * it forgets a mapping, and one that begins to wait in between would wait for ever
 * (Linux 6.18).  A removal that began before is read, or its thread would wait, too. */
static bool release(struct pt_lazy_serve *s)
{
	struct pollfd fd = { .fd = s->cfg.uffd, .events = POLLIN };
	int code = 0;

	for (__u32 i = 0; i < s->r->region_cnt; i++) {
		int ret = pt_place_unregister(s->cfg.uffd, s->r->regions[i].addr,
					      s->r->regions[i].sz);

		code = ret && ret != -ESRCH ? ret : code;
	}
	do
		wake_all(s);
	while (poll(&fd, 1, QUIET_MS) > 0 && events(s));
	wake_all(s);
	return !code;
}

/* resume takes over from a server that was killed: the events in the record may not
 * have been handled, and threads may wait whose faults were read. */
static void resume(struct pt_lazy_serve *s)
{
	take(s);
	s->waiting_cnt = 0;	/* they ask again, as those that waited do */
	wake_all(s);
	tell_keeper(s);
}

/* linger waits for the end of a removal, or for memory. */
static bool linger(struct pt_lazy_serve *s, enum pt_lazy_end *end)
{
	return look(s, ++s->idle_cnt < SPINS ? 0 : WAIT_MS, end);
}

static bool step(struct pt_lazy_serve *s, __u32 *steps, enum pt_lazy_end *end)
{
	bool any = events(s);

	if (pt_lazy_has_ended(s))
		return true;
	if (!any && s->waiting_cnt > s->hopeless_cnt)
		return linger(s, end);
	s->idle_cnt = 0;
	if (any)
		return look(s, 0, end);
	if (!s->r->pending_cnt && !s->is_stuck) {
		pt_lazy_enter(NULL, PT_LAZY_WHOLE_STEP);
		if (release(s)) {
			pt_lazy_enter(NULL, PT_LAZY_RELEASED_STEP);
			*end = PT_LAZY_WHOLE;
			return false;
		}
		s->is_stuck = true;
		complain(s, "the guest's memory is whole, but not all of it "
			    "is mapped as it was: it is served until the VMM ends");
	}
	if (++*steps % LOOK_STEPS == 0 && !look(s, 0, end))
		return false;
	if (!s->cfg.on_demand && fill(s))
		return true;
	s->at = 0;
	return look(s, s->cfg.on_demand || s->is_stuck ? IDLE_MS : PAUSE_MS, end);
}

int pt_lazy_serve_run(struct pt_lazy_serve *s, enum pt_lazy_end *end,
		      struct pt_error *err)
{
	bool is_on = true;
	__u32 steps = 0;

	pt_lazy_enter(NULL, PT_LAZY_SERVES_STEP);
	if (s->r->server_cnt++)
		resume(s);
	while (is_on && !pt_lazy_has_ended(s))
		is_on = step(s, &steps, end);
	pt_lazy_lost_tell(s);
	if (!is_on)
		return 0;
	if (s->is_gone) {
		*end = PT_LAZY_GONE;
		return 0;
	}
	if (s->code == -ENOMEM || s->code == -ENOSPC)
		return pt_error_set(err, PT_EXIT_HOST, s->code, "no memory for a page "
				    "of the guest for some time: it waits (free "
				    "some, and start this again)");
	return pt_error_set(err, PT_EXIT_FAILED, -EIO, "the guest's userfaultfd "
			    "failed: %s", strerror(-s->code));
}

int pt_lazy_serve_create(struct pt_lazy_serve **out,
			 const struct pt_lazy_serve_cfg *cfg, struct pt_error *err)
{
	struct pt_lazy_serve *s = calloc(1, sizeof(*s));
	__u64 sz = PT_LAZY_UNIT_MAX * PT_PAGE_SZ;

	for (__u32 i = 0; i < cfg->record->region_cnt; i++)
		if (cfg->record->regions[i].page_sz > sz)
			sz = cfg->record->regions[i].page_sz;
	if (s)
		s->buffer = aligned_alloc(PT_PAGE_SZ, sz);
	if (!s || !s->buffer) {
		free(s);
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory to serve");
	}
	s->cfg = *cfg;
	s->cfg.pidfd = cfg->pidfd > 0 ? cfg->pidfd : -1;
	s->cfg.stop_fd = cfg->stop_fd > 0 ? cfg->stop_fd : -1;
	s->cfg.keeper_fd = cfg->keeper_fd > 0 ? cfg->keeper_fd : -1;
	s->r = cfg->record;
	*out = s;
	return 0;
}

void pt_lazy_serve_destroy(struct pt_lazy_serve *s)
{
	if (!s)
		return;
	free(s->buffer);
	free(s);
}

const struct pt_latency *pt_lazy_serve_latency(const struct pt_lazy_serve *s)
{
	return &s->latency;
}
