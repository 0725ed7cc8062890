/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "live/live_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"

#define SECOND_NS	1000000000ULL
#define STOP_NS		10000000000ULL	/* for the guest to stop */

/* wait_for calls a waiting function of the guest until it is not a time-out. */
static int wait_for(struct pt_live *l,
		    int (*wait)(void *arg, int timeout_ms, struct pt_error *err),
		    __u64 limit_ns, struct pt_error *err)
{
	__u64 began_ns = pt_clock_ns();
	int ret = -ETIMEDOUT;

	if (!wait)
		return 0;
	while (ret == -ETIMEDOUT) {
		if (atomic_load(&l->is_abandoned))
			return -ECANCELED;
		ret = wait(l->cfg.guest.arg, PT_LIVE_WAIT_MS, err);
		if (ret == -ETIMEDOUT && pt_clock_ns() - began_ns > limit_ns)
			return pt_error_set(err, PT_EXIT_FAILED, -ETIME,
					    "the writer of the memory has not "
					    "stopped within %llu s",
					    limit_ns / SECOND_NS);
	}
	return ret;
}

static int throttle(struct pt_live *l, struct pt_error *err)
{
	return l->cfg.guest.throttle(l->cfg.guest.arg, l->throttle, err);
}

static int lift(struct pt_live *l, struct pt_error *err)
{
	if (!l->throttle)
		return 0;
	l->throttle = 0;
	return throttle(l, err);
}

/* begin lifts the throttle first: a guest without CPU time would be slow to stop. */
static int begin(struct pt_live *l, struct pt_error *err)
{
	int ret = lift(l, err);

	if (!ret && l->cfg.guest.begin)
		ret = l->cfg.guest.begin(l->cfg.guest.arg, &l->state_fd, err);
	l->is_begun = !ret;
	return ret;
}

static int stop(struct pt_live *l, struct pt_error *err)
{
	__u64 began_ns = pt_clock_ns();
	int ret;

	l->is_begun = true;
	ret = wait_for(l, l->cfg.guest.stop, STOP_NS, err);
	l->stopped_ns = pt_clock_ns();
	if (!ret)
		ret = pt_live_recheck(l, err);
	l->report.stop_ns = l->stopped_ns - began_ns;
	l->report.recheck_ns = pt_clock_ns() - l->stopped_ns;
	l->report.recheck_cnt = l->found_cnt;
	return ret;
}

static int sent(struct pt_live *l)
{
	if (!l->cfg.guest.sent)
		return 0;
	l->cfg.guest.sent(l->cfg.guest.arg);
	l->report.stood_ns = pt_clock_ns() - l->stopped_ns;
	l->is_begun = false;
	return 0;
}

/* hand_over has no limit of its own: the stream's other end has one. */
static int hand_over(struct pt_live *l, struct pt_error *err)
{
	__u64 began_ns = pt_clock_ns();
	int ret = wait_for(l, l->cfg.guest.hand_over, ~0ULL, err);

	l->report.hand_over_ns = pt_clock_ns() - began_ns;
	return ret;
}

static int work(struct pt_live *l, enum pt_live_job job, struct pt_error *err)
{
	switch (job) {
	case PT_LIVE_ARM:
		return pt_live_choose(l, err);
	case PT_LIVE_THROTTLE:
		return throttle(l, err);
	case PT_LIVE_LOOK:
		return pt_live_look(l, err);
	case PT_LIVE_BEGIN:
		return begin(l, err);
	case PT_LIVE_STOP:
		return stop(l, err);
	case PT_LIVE_SENT:
		return sent(l);
	case PT_LIVE_HAND_OVER:
		return hand_over(l, err);
	default:
		return 0;
	}
}

/* next waits for a job, until it is due; IDLE: none follows. */
static enum pt_live_job next(struct pt_live *l)
{
	enum pt_live_job job;

	pthread_mutex_lock(&l->lock);
	while (l->is_done && !l->is_abandoned)
		pthread_cond_wait(&l->filled, &l->lock);
	while (!l->is_abandoned && pt_clock_ns() < l->due_ns)
		pt_thread_wait(&l->filled, &l->lock, l->due_ns);
	job = l->is_abandoned ? PT_LIVE_IDLE : l->job;
	pthread_mutex_unlock(&l->lock);
	return job;
}

static void done(struct pt_live *l, int ret, const struct pt_error *err)
{
	pthread_mutex_lock(&l->lock);
	l->is_done = true;
	l->result = ret < 0 ? ret : 1;
	if (ret < 0)
		l->error = *err;
	pthread_mutex_unlock(&l->lock);
	eventfd_write(l->cfg.wake_fd, 1);
}

static void tracker_close(struct pt_live *l)
{
	struct pt_tracker *t = l->tracker;

	pthread_mutex_lock(&l->lock);
	l->tracker = NULL;
	pthread_mutex_unlock(&l->lock);
	pt_tracker_close(t);
}

/* The tracker is closed after the guest was resumed, since that takes longer. */
static void *live_main(void *arg)
{
	struct pt_live *l = arg;
	struct pt_error err = { .exit = PT_EXIT_OK };
	enum pt_live_job job;

	while ((job = next(l)) != PT_LIVE_IDLE)
		done(l, work(l, job, &err), &err);
	lift(l, &err);
	if (l->is_begun && !l->keeps && l->cfg.guest.resume)
		l->cfg.guest.resume(l->cfg.guest.arg, &err);
	tracker_close(l);
	atomic_store(&l->has_ended, true);
	eventfd_write(l->cfg.wake_fd, 1);
	return NULL;
}

static void free_all(struct pt_live *l)
{
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->filled);
	pt_dirty_destroy(l->found);
	free(l->ranges);
	free(l->reported);
	free(l->suspects);
	free(l);
}

int pt_live_start(struct pt_live **out, const struct pt_live_cfg *cfg,
		  struct pt_error *err)
{
	struct pt_live *l = calloc(1, sizeof(*l));
	int ret = -ENOMEM;

	if (!l)
		return pt_error_set(err, PT_EXIT_HOST, ret, "no memory");
	l->cfg = *cfg;
	l->is_done = true;
	l->result = 1;
	l->state_fd = -1;
	l->region_cnt = pt_layout_region_cnt(cfg->layout);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->filled, NULL);
	l->reported = calloc(l->region_cnt, PT_REGION_WORDS * sizeof(__u64));
	l->suspects = calloc(l->region_cnt, PT_REGION_WORDS * sizeof(__u64));
	if (l->reported && l->suspects)
		ret = pt_dirty_create(&l->found, l->region_cnt);
	if (!ret)
		ret = pt_thread_start(&l->thread, live_main, l, "pt-live");
	if (ret) {
		free_all(l);
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot follow a "
				    "memory that changes: %s (memory, "
				    "ulimit -u or pids.max)", strerror(-ret));
	}
	*out = l;
	return 0;
}

void pt_live_do(struct pt_live *l, enum pt_live_job job, __u64 pause_ns)
{
	pthread_mutex_lock(&l->lock);
	l->job = job;
	l->due_ns = pt_clock_ns() + pause_ns;
	l->is_done = false;
	pthread_cond_signal(&l->filled);
	pthread_mutex_unlock(&l->lock);
}

void pt_live_throttle(struct pt_live *l, unsigned percent)
{
	l->throttle = percent;
	pt_live_do(l, PT_LIVE_THROTTLE, 0);
}

int pt_live_result(struct pt_live *l, struct pt_error *err)
{
	int ret;

	pthread_mutex_lock(&l->lock);
	ret = l->is_done ? l->result : 0;
	if (ret < 0 && err)
		*err = l->error;
	pthread_mutex_unlock(&l->lock);
	return ret;
}

struct pt_dirty *pt_live_found(struct pt_live *l)
{
	return l->found;
}

int pt_live_state_fd(const struct pt_live *l)
{
	return l->state_fd;
}

const struct pt_live_report *pt_live_report(const struct pt_live *l)
{
	return &l->report;
}

void pt_live_abandon(struct pt_live *l, bool keep)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	if (!atomic_load(&l->is_abandoned))
		l->keeps = keep;
	atomic_store(&l->is_abandoned, true);
	if (l->tracker)
		pt_tracker_cancel(l->tracker);
	pthread_cond_signal(&l->filled);
	pthread_mutex_unlock(&l->lock);
}

bool pt_live_has_ended(const struct pt_live *l)
{
	return !l || atomic_load(&l->has_ended);
}

int pt_live_free(struct pt_live *l)
{
	int fd;

	if (!l)
		return -1;
	pthread_join(l->thread, NULL);
	fd = l->state_fd;
	free_all(l);
	return fd;
}
