// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lane/worker.h"

#include <stdlib.h>
#include <sys/prctl.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "base/thread.h"
#include "lane/lane_internal.h"

#define IDLE_NS		1000000000ULL	/* without lanes */
#define DOWN_NS		10000000ULL	/* for a device that is down */
#define SHARED_MS	1	/* for the device, while other lanes have mail */
#define NS_PER_MS	1000000ULL

struct pt_worker {
	struct pt_worker_cfg cfg;
	pthread_t thread;
	struct pt_bell bell;
	struct pt_lane *lanes;		/* the thread's */
	atomic_int at_source;		/* enum pt_worker_source */
	_Atomic __u32 lane_cnt;		/* that have not ended */
	pthread_mutex_t lock;		/* of all that follows */
	pthread_cond_t left;		/* a lane has ended */
	struct pt_lane *coming;
	bool is_closing;
};

/* take_coming returns false if there will be no more lanes. */
static bool take_coming(struct pt_worker *w)
{
	struct pt_lane *l;
	bool goes_on;

	pthread_mutex_lock(&w->lock);
	while ((l = w->coming)) {
		w->coming = l->next;
		l->next = w->lanes;
		w->lanes = l;
		pt_lane_begin(l);
	}
	goes_on = w->lanes || !w->is_closing;
	pthread_mutex_unlock(&w->lock);
	return goes_on;
}

static void leave(struct pt_worker *w, struct pt_lane *l, int code)
{
	pt_lane_end(l, code);
	w->lane_cnt--;
	pthread_mutex_lock(&w->lock);
	l->is_left = true;
	pthread_cond_broadcast(&w->left);
	pthread_mutex_unlock(&w->lock);
}

/* is_due: a lane that is told to stop is, so that it does not touch the device. */
static bool is_due(const struct pt_lane *l, __u64 now_ns)
{
	if (now_ns >= l->wait_until_ns || pt_inbox_peek(l->inbox))
		return true;
	switch (l->wait) {
	case PT_LANE_FOR_MAIL:
		return false;
	case PT_LANE_FOR_DEVICE:
		return pt_xsk_tx_is_taken(l->cfg.xsk, l->tx_mark);
	case PT_LANE_FOR_BUFFER:
		return pt_xsk_tx_is_taken(l->cfg.xsk, l->tx_mark) &&
		       pt_xsk_tx_has_buffer(l->cfg.xsk);
	case PT_LANE_FOR_TURN:
	case PT_LANE_NO_WAIT:
		break;
	}
	return true;
}

/* step_all gives each lane that is due a turn. */
static void step_all(struct pt_worker *w)
{
	struct pt_lane **at = &w->lanes, *l;
	__u64 now_ns = pt_clock_ns();
	bool lacks_buffers = false;

	while ((l = *at)) {
		int ret = is_due(l, now_ns) ? pt_lane_step(l) : PT_LANE_WAITS;

		if (ret == PT_LANE_WAITS) {
			lacks_buffers |= l->wait == PT_LANE_FOR_BUFFER;
			at = &l->next;
		} else {
			*at = l->next;
			leave(w, l, ret);
		}
	}
	/* The first becomes the last, so that the device's buffers go round; else the
	 * last would have two turns in a row. */
	l = w->lanes;
	if (lacks_buffers && l->next) {
		w->lanes = l->next;
		l->next = NULL;
		*at = l;
	}
}

/* device_wait waits for the device, or a lane's time: mail that comes meanwhile is taken
 * afterwards.  A device that is down takes no frames, and tells so at once. */
static void device_wait(struct pt_worker *w, __u64 now_ns, __u64 until_ns)
{
	__u64 ms = until_ns > now_ns ?
		(until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;

	if (w->lanes->next && ms > SHARED_MS)
		ms = SHARED_MS;
	if (pt_xsk_tx_wait(w->cfg.xsk, ms) < 0)
		pt_bell_wait(&w->bell, until_ns < now_ns + DOWN_NS
				       ? until_ns : now_ns + DOWN_NS);
}

/* rest sleeps until a lane may be due: not at all if one has more to do, though its turn
 * was over. */
static void rest(struct pt_worker *w)
{
	__u64 now_ns = pt_clock_ns(), until_ns = now_ns + IDLE_NS;
	bool for_device = false, for_turn = false;

	for (const struct pt_lane *l = w->lanes; l; l = l->next) {
		for_device |= l->wait == PT_LANE_FOR_DEVICE ||
			      l->wait == PT_LANE_FOR_BUFFER;
		for_turn |= l->wait == PT_LANE_FOR_TURN;
		if (l->wait_until_ns < until_ns)
			until_ns = l->wait_until_ns;
	}
	if (for_turn && for_device)
		pt_xsk_tx_kick(w->cfg.xsk);	/* its lane sees the error */
	else if (for_device)
		device_wait(w, now_ns, until_ns);
	else if (!for_turn)
		pt_bell_wait(&w->bell, until_ns);
}

static void *worker_main(void *arg)
{
	struct pt_worker *w = arg;

	pt_cpus_pin(w->cfg.cpus, w->cfg.idx);
	/* Without timer slack naps for pacing end in time, not up to 50 us
	 * later. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	while (take_coming(w)) {
		step_all(w);
		rest(w);
	}
	return NULL;
}

int pt_worker_open(struct pt_worker **out, const struct pt_worker_cfg *cfg)
{
	struct pt_worker *w = calloc(1, sizeof(*w));
	int ret;

	if (!w)
		return -ENOMEM;
	w->cfg = *cfg;
	pt_bell_init(&w->bell);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->left, NULL);
	ret = pt_thread_start(&w->thread, worker_main, w, "pt-lane-%u", cfg->idx);
	if (ret) {
		pthread_cond_destroy(&w->left);
		pthread_mutex_destroy(&w->lock);
		pt_bell_destroy(&w->bell);
		free(w);
		return ret;
	}
	*out = w;
	return 0;
}

void pt_worker_close(struct pt_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->is_closing = true;
	pthread_mutex_unlock(&w->lock);
	pt_bell_ring(&w->bell);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->left);
	pthread_mutex_destroy(&w->lock);
	pt_bell_destroy(&w->bell);
	free(w);
}

void pt_worker_add(struct pt_worker *w, struct pt_lane *l)
{
	pt_check(l->cfg.xsk == w->cfg.xsk);
	l->at_source = &w->at_source;
	w->lane_cnt++;
	pt_inbox_tell(l->inbox, &w->bell);
	pthread_mutex_lock(&w->lock);
	l->next = w->coming;
	w->coming = l;
	pthread_mutex_unlock(&w->lock);
	pt_bell_ring(&w->bell);
}

void pt_worker_await(struct pt_worker *w, const struct pt_lane *l)
{
	pthread_mutex_lock(&w->lock);
	while (!l->is_left)
		pthread_cond_wait(&w->left, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

bool pt_worker_part(struct pt_worker *w)
{
	int was = PT_WORKER_AT_SOURCE;

	return !w->lane_cnt ||
	       atomic_compare_exchange_strong(&w->at_source, &was,
					      PT_WORKER_PARTED);
}
