/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Settings that change while a transfer runs. */
#include "send/sender_internal.h"

#include <errno.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "lane/rate.h"

int pt_sender_set_rate(struct pt_sender *s, __u64 bytes_per_s,
		       struct pt_error *err)
{
	__u64 rate;
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = pt_rate_choose(&rate, bytes_per_s, &s->path.device, err);
	if (!ret) {
		s->report.bytes_per_s = rate;
		pt_pacer_set(&s->pacer, rate, pt_clock_ns());
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int pt_sender_set_downtime(struct pt_sender *s, __u32 downtime_ms,
			   struct pt_error *err)
{
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	if (!s->cfg.live) {
		ret = pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "downtime-limit: "
				   "no guest is moved, so none is stopped");
	} else if (pt_sender_live_is_stopping(s)) {
		ret = pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "downtime-limit: "
				   "too late, the guest is being stopped");
	} else {
		s->live.limits.downtime_ns = downtime_ms * 1000000ULL;
		s->report.live.downtime_limit_ns = s->live.limits.downtime_ns;
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
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

int pt_sender_pause(struct pt_sender *s, bool is_paused, struct pt_error *err)
{
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	if (is_paused == s->report.is_paused)
		ret = 0;
	else if (!is_paused)
		resume(s);
	else if (s->end.state || s->report.phase >= PT_SEND_VERIFY ||
		 pt_sender_live_is_stopping(s))
		ret = pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "too late to "
				   "pause: %s", pt_sender_live_is_stopping(s)
				   ? "the guest is being stopped"
				   : "all was sent");
	else
		pause(s);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int pt_sender_cancel_early(struct pt_sender *s, struct pt_error *err)
{
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	if (s->report.phase >= PT_SEND_COMMIT)
		ret = pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "too late to "
				   "cancel: the commit has begun");
	else
		pt_sender_cancel(s);
	pthread_mutex_unlock(&s->lock);
	return ret;
}
