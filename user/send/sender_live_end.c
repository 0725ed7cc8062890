/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The end of a move of memory that changes. */
#include "send/sender_internal.h"

#include <stdlib.h>
#include <unistd.h>

#include <pagetrim/clock.h>

void pt_sender_live_committed(struct pt_sender *s)
{
	const struct pt_live_report *found;
	struct pt_send_live_report *r = &s->report.live;

	if (pt_sender_postcopy_is_on(s))
		r->fill_ns = pt_clock_ns() - s->postcopy.handed_ns;
	if (!s->live.thread)
		return;
	found = pt_live_report(s->live.thread);
	if (pt_sender_postcopy_is_on(s)) {
		r->recheck_ns = found->recheck_ns;
		r->state_ns = found->hand_over_ns;
		return;
	}
	r->downtime_ns = pt_clock_ns() - s->live.stopped_ns;
	r->recheck_ns = found->recheck_ns;
	if (found->stood_ns) {
		r->downtime_ns = found->stood_ns;
		r->last_ns = found->stood_ns - found->recheck_ns;
		return;
	}
	r->last_ns = s->live.verify_ns - s->live.last_ns;
	r->verify_ns = s->live.hand_over_ns - s->live.verify_ns;
	r->state_ns = found->hand_over_ns;
	r->commit_ns = s->report.commit_ns;
}

void pt_sender_live_cancel(struct pt_sender *s)
{
	bool is_refused = s->is_aborted && s->error.exit != PT_EXIT_UNKNOWN &&
			  !s->postcopy.is_handed;

	s->live.throttle = s->report.live.throttle = 0;
	pt_live_abandon(s->live.thread, s->postcopy.is_handed ||
			(s->is_commit_sent && !is_refused));
}

bool pt_sender_live_has_ended(const struct pt_sender *s)
{
	return pt_live_has_ended(s->live.thread);
}

/* The stream stays open until the guest is resumed: a hypervisor whose stream
 * breaks meanwhile may fail to. */
void pt_sender_live_free(struct pt_sender *s)
{
	int fd = pt_live_free(s->live.thread);

	s->live.thread = NULL;
	pt_relay_close(s->live.relay);
	s->live.relay = NULL;
	if (fd >= 0)
		close(fd);
	free(s->live.ranges);
	s->live.ranges = NULL;
	pt_hot_free(s->live.hot);
	s->live.hot = NULL;
}

const char *pt_send_live_step_name(enum pt_send_live_step step)
{
	static const char *const names[] = {
#define X(symbol, name) name,
		PT_SEND_LIVE_STEPS(X)
#undef X
	};

	return names[step];
}
