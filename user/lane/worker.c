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
	pthread_mutex_lock(&w->lock);
	l->is_left = true;
	pthread_cond_broadcast(&w->left);
	pthread_mutex_unlock(&w->lock);
}

static bool is_due(const struct pt_lane *l, __u64 now_ns, bool device_is_ready)
{
	switch (l->wait) {
	case PT_LANE_FOR_MAIL:
		return now_ns >= l->wait_until_ns || pt_inbox_peek(l->inbox);
	case PT_LANE_FOR_DEVICE:
		return now_ns >= l->wait_until_ns || device_is_ready;
	case PT_LANE_NO_WAIT:
		break;
	}
	return true;
}

static void step_all(struct pt_worker *w, bool device_is_ready)
{
	struct pt_lane **at = &w->lanes, *l;
	__u64 now_ns = pt_clock_ns();

	while ((l = *at)) {
		int ret = is_due(l, now_ns, device_is_ready) ? pt_lane_step(l)
							     : PT_LANE_WAITS;

		if (ret == PT_LANE_WAITS) {
			at = &l->next;
		} else {
			*at = l->next;
			leave(w, l, ret);
		}
	}
	/* The first becomes the last, so that the device's buffers go round. */
	l = w->lanes;
	if (l && l->next) {
		w->lanes = l->next;
		l->next = NULL;
		*at = l;
	}
}

/* device_wait waits for the device, or a lane's time: mail that comes meanwhile is taken
 * afterwards.  It returns whether the device takes frames; one that is down does not,
 * and tells so at once. */
static bool device_wait(struct pt_worker *w, __u64 now_ns, __u64 until_ns)
{
	__u64 ms = until_ns > now_ns ?
		(until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
	int ret;

	if (w->lanes->next && ms > SHARED_MS)
		ms = SHARED_MS;
	ret = pt_xsk_tx_wait(w->cfg.xsk, ms);
	if (ret < 0)
		pt_bell_wait(&w->bell, until_ns < now_ns + DOWN_NS
				       ? until_ns : now_ns + DOWN_NS);
	return ret > 0;
}

/* rest sleeps until a lane may be due, and returns whether the device takes frames,
 * if one waits for that. */
static bool rest(struct pt_worker *w)
{
	__u64 now_ns = pt_clock_ns(), until_ns = now_ns + IDLE_NS;
	bool for_device = false;

	for (const struct pt_lane *l = w->lanes; l; l = l->next) {
		for_device |= l->wait == PT_LANE_FOR_DEVICE;
		if (l->wait_until_ns < until_ns)
			until_ns = l->wait_until_ns;
	}
	if (!for_device) {
		pt_bell_wait(&w->bell, until_ns);
		return false;
	}
	return device_wait(w, now_ns, until_ns);
}

static void *worker_main(void *arg)
{
	struct pt_worker *w = arg;
	bool device_is_ready = false;

	pt_cpus_pin(w->cfg.cpus, w->cfg.idx);
	/* Without timer slack naps for pacing end in time, not up to 50 us
	 * later. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	while (take_coming(w)) {
		step_all(w, device_is_ready);
		device_is_ready = rest(w);
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
