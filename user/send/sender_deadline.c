/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The deadline of memory that changes, and its failure to converge. */
#include "send/sender_internal.h"

#include <errno.h>

#include <pagetrim/clock.h>
#include "lane/rate.h"

#define PACE_NS		100000000ULL	/* between two changes of the pace */
#define PAGES_MIN	1024		/* fewer are no sample */
#define WHOLE_PAGE_SZ	4200		/* on the wire, without a sample */

/* end_ns returns the time of the deadline; 0: there is none. */
static __u64 end_ns(const struct pt_sender *s)
{
	return s->live.limits.deadline_ns
		? s->started_ns + s->live.limits.deadline_ns : 0;
}

__u64 pt_sender_deadline_left_ns(const struct pt_sender *s)
{
	__u64 now_ns = pt_clock_ns(), end = end_ns(s);

	if (!end)
		return 0;
	return end > now_ns ? end - now_ns : 1;
}

int pt_sender_fail_to_converge(struct pt_sender *s)
{
	const struct pt_round *r = &s->report.live.round;
	unsigned long long deadline_s = s->live.limits.deadline_ns / 1000000000;
	const char *who = pt_sender_writer(s);

	if (deadline_s && !r->is_judged)
		return pt_error_set(&s->error, PT_EXIT_FAILED, -ETIME, "the first "
				    "round has not ended "
				    "within %llu s; %s runs on "
				    "(raise {deadline})", deadline_s, who);
	if (deadline_s)
		return pt_error_set(&s->error, PT_EXIT_FAILED, -ETIME, "the move "
				    "cannot end within %llu s: after %u rounds a "
				    "stop would still take %llu ms: %llu pages "
				    "are written per second; %s runs on "
				    "(raise {deadline} or {downtime-limit})",
				    deadline_s, r->idx,
				    (unsigned long long)(r->downtime_ns / 1000000),
				    (unsigned long long)r->dirty_per_s, who);
	return pt_error_set(&s->error, PT_EXIT_FAILED, -ETIME, "after %u rounds a "
			    "stop would still take %llu ms: %llu pages are "
			    "written per second; %s runs on (raise "
			    "{downtime-limit} or {max-rounds})", r->idx,
			    (unsigned long long)(r->downtime_ns / 1000000),
			    (unsigned long long)r->dirty_per_s, who);
}

/* pace returns the rate at which the first round ends when half of the time is
 * over; the limit, if that is less. */
static __u64 pace(const struct pt_sender *s, __u64 now_ns)
{
	const struct pt_send_report *r = &s->report;
	__u64 end = end_ns(s) - s->live.limits.deadline_ns / 2;
	__u64 sent = r->pages_sent + r->zero_pages_sent;
	__u64 page_sz = sent < PAGES_MIN ? WHOLE_PAGE_SZ
					 : r->wire_bytes / sent + 1;
	__u64 rate;

	if (r->live.round.idx > 1 || now_ns >= end)
		return r->bytes_per_s;
	rate = (__uint128_t)r->pages_left * page_sz * 1000000000 /
	       (end - now_ns);
	if (rate < PT_RATE_MIN)
		rate = PT_RATE_MIN;
	if (rate > PT_RATE_MAX || (r->bytes_per_s && rate > r->bytes_per_s))
		return r->bytes_per_s;
	return rate;
}

int pt_sender_deadline_watch(struct pt_sender *s)
{
	__u64 now_ns = pt_clock_ns(), end = end_ns(s), rate;

	if (!end || pt_sender_live_is_stopping(s))
		return 0;
	if (now_ns >= end && s->live.limits.otherwise != PT_NO_CONVERGE_STOP)
		return pt_sender_fail_to_converge(s);
	if (s->live.is_paced && now_ns - s->live.paced_ns < PACE_NS)
		return 0;
	if (!s->live.is_paced && s->live.paced_ns)
		return 0;	/* the first round is over */
	pt_sender_count(s);
	s->live.paced_ns = now_ns;
	s->live.is_paced = s->report.live.round.idx <= 1;
	rate = pace(s, now_ns);
	if (rate != pt_pacer_rate(&s->pacer))
		pt_pacer_set(&s->pacer, rate, now_ns);
	return 0;
}
