/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Settings that change while a transfer runs. */
#include "send/sender_internal.h"

#include <errno.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "lane/rate.h"

/* check_runs refuses to steer a transfer that has ended. */
static int check_runs(const struct pt_sender *s, struct pt_error *err)
{
	return s->end.state ? pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "too late: "
					   "the transfer is ending") : 0;
}

__u64 pt_sender_rate(const struct pt_sender *s, __u64 bytes_per_s)
{
	bool is_more = !bytes_per_s || bytes_per_s > s->rate_max;

	return s->rate_max && is_more ? s->rate_max : bytes_per_s;
}

int pt_sender_set_rate(struct pt_sender *s, __u64 bytes_per_s,
		       struct pt_error *err)
{
	__u64 rate;
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = check_runs(s, err);
	if (!ret)
		ret = pt_rate_choose(&rate, bytes_per_s, &s->path.device, err);
	if (!ret) {
		rate = pt_sender_rate(s, rate);
		s->report.bytes_per_s = rate;
		pt_pacer_set(&s->pacer, rate, pt_clock_ns());
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int pt_sender_set_downtime(struct pt_sender *s, __u32 downtime_ms,
			   struct pt_error *err)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = check_runs(s, err);
	if (!ret && !s->cfg.live)
		ret = pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "no downtime to "
				   "limit: nothing that runs is moved");
	else if (!ret && pt_sender_live_is_stopping(s))
		ret = pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "too late for "
				   "another limit: %s is being stopped",
				   pt_sender_writer(s));
	if (!ret) {
		s->live.limits.downtime_ns = downtime_ms * 1000000ULL;
		s->report.live.downtime_limit_ns = s->live.limits.downtime_ns;
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int pt_sender_live_throttle(struct pt_sender *s)
{
	__u32 want = s->report.is_paused ? 0 : s->live.throttle;
	int ret;

	if (want == s->report.live.throttle)
		return 0;
	ret = pt_live_result(s->live.thread, &s->error);
	if (ret <= 0)
		return ret;
	pt_live_throttle(s->live.thread, want);
	s->report.live.throttle = want;
	return 0;
}

static void pause(struct pt_sender *s)
{
	s->report.is_paused = true;
	s->pause_ns = pt_clock_ns();
	atomic_store(&s->pacer.is_paused, true);
}

static void resume(struct pt_sender *s)
{
	__u64 took_ns = pt_clock_ns() - s->pause_ns;

	s->report.is_paused = false;
	s->report.paused_ns += took_ns;
	atomic_store(&s->pacer.is_paused, false);
	pt_sender_live_resume(s, took_ns);
	eventfd_write(s->wake_fd, 1);
}

/* check_pause refuses a pause in which a guest would stand still, or that would
 * hold up nothing. */
static int check_pause(const struct pt_sender *s, struct pt_error *err)
{
	if (pt_sender_live_is_stopping(s))
		return pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "too late to "
				    "pause: %s is being stopped",
				    pt_sender_writer(s));
	if (s->report.phase >= PT_SEND_VERIFY)
		return pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "too late to "
				    "pause: all was sent");
	return 0;
}

int pt_sender_pause(struct pt_sender *s, bool is_paused, struct pt_error *err)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = check_runs(s, err);
	if (!ret && is_paused && !s->report.is_paused) {
		ret = check_pause(s, err);
		if (!ret)
			pause(s);
	} else if (!ret && !is_paused && s->report.is_paused) {
		resume(s);
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int pt_sender_cancel_early(struct pt_sender *s, struct pt_error *err)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = check_runs(s, err);
	if (!ret && s->report.phase >= PT_SEND_COMMIT)
		ret = pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "too late to "
				   "cancel: the commit has begun");
	if (!ret)
		pt_sender_cancel(s);
	pthread_mutex_unlock(&s->lock);
	return ret;
}
