/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/reorder.h"

#include <stdbool.h>

#define MARKS_A_WINDOW	(PT_REORDER_MARKS / 2)	/* so that due marks are kept
						 * for another window */

static __u64 since(__u64 then_ns, __u64 now_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* --- peaks and windows ------------------------------------------------ */

static void peak_take(struct pt_reorder_peak *p, __u64 wait_ns)
{
	if (p->this_ns < wait_ns)
		p->this_ns = wait_ns;
}

static void peak_next(struct pt_reorder_peak *p, __u64 now_ns)
{
	p->last_ns = p->this_ns;
	p->this_ns = 0;
	p->since_ns = now_ns;
	p->window_cnt = 0;
}

/* window: twice the peak, since the next wait may be longer. */
static __u64 window(const struct pt_reorder_peak *p, __u64 floor_ns)
{
	__u64 peak_ns = p->this_ns > p->last_ns ? p->this_ns : p->last_ns;
	__u64 ns = 2 * peak_ns;

	if (ns < floor_ns)
		ns = floor_ns;
	return peak_ns < PT_REORDER_MAX_NS && ns < PT_REORDER_MAX_NS
		? ns : PT_REORDER_MAX_NS;
}

__u64 pt_reorder_gap_ns(const struct pt_reorder *r)
{
	return window(&r->gap, r->floor_ns);
}

__u64 pt_reorder_tail_ns(const struct pt_reorder *r)
{
	return r->arrived_end
		? window(&r->lag, pt_reorder_gap_ns(r))
		: PT_REORDER_MAX_NS;
}

/* --- marks ------------------------------------------------------------- */

/* open_ns returns how long seq has been open at now_ns, or less if its mark was
 * dropped meanwhile. */
static __u64 open_ns(const struct pt_reorder_marks *m, __u64 seq, __u64 now_ns)
{
	__u64 end = m->cnt;
	__u64 first = end > PT_REORDER_MARKS ? end - PT_REORDER_MARKS : 0;

	while (first < end) {
		__u64 mid = first + (end - first) / 2;

		if (m->at[mid % PT_REORDER_MARKS].end > seq)
			end = mid;
		else
			first = mid + 1;
	}
	return first < m->cnt
		? since(m->at[first % PT_REORDER_MARKS].ns, now_ns) : 0;
}

/* mark notes that the numbers below end are open, unless a mark has them, or
 * the last mark is younger than pause_ns. */
static void mark(struct pt_reorder_marks *m, __u64 end, __u64 now_ns,
		 __u64 pause_ns)
{
	__u64 last = (m->cnt - 1) % PT_REORDER_MARKS;

	if (m->cnt && (m->at[last].end >= end ||
		       since(m->at[last].ns, now_ns) < pause_ns))
		return;
	m->at[m->cnt % PT_REORDER_MARKS].end = end;
	m->at[m->cnt % PT_REORDER_MARKS].ns = now_ns;
	m->cnt++;
}

/* --- arrivals and gaps -------------------------------------------------- */

/* lag_take counts one sample per window. */
static void lag_take(struct pt_reorder *r, __u64 wait_ns, __u64 now_ns)
{
	struct pt_reorder_peak *p = &r->lag;

	peak_take(p, wait_ns);
	if (since(p->since_ns, now_ns) < pt_reorder_tail_ns(r))
		return;
	p->since_ns = now_ns;
	if (++p->window_cnt > PT_REORDER_KEEP)
		peak_next(p, now_ns);
}

void pt_reorder_came(struct pt_reorder *r, __u64 seq, __u64 came_ns)
{
	bool is_said = seq < r->said_end;

	if (seq < r->arrived_end) {
		peak_take(&r->gap, open_ns(&r->gaps, seq, came_ns));
		return;
	}
	r->arrived_end = seq + 1;
	r->arrived_ns = came_ns;
	if (is_said)
		lag_take(r, open_ns(&r->tails, seq, came_ns), came_ns);
}

void pt_reorder_said(struct pt_reorder *r, __u64 end, __u64 now_ns)
{
	if (end <= r->arrived_end) {
		lag_take(r, 0, now_ns);
		return;
	}
	if (end <= r->said_end)
		return;
	r->said_end = end;
	r->said_ns = now_ns;
	mark(&r->tails, end, now_ns, pt_reorder_tail_ns(r) / MARKS_A_WINDOW);
}

void pt_reorder_look(struct pt_reorder *r, __u64 decided, __u64 now_ns)
{
	struct pt_reorder_marks *m = &r->gaps;
	__u64 gap_ns = pt_reorder_gap_ns(r);

	if (since(r->gap.since_ns, r->arrived_ns) >= PT_REORDER_KEEP * gap_ns)
		peak_next(&r->gap, now_ns);
	/* Numbers that came meanwhile are not due. */
	while (r->due_cnt < m->cnt &&
	       m->at[r->due_cnt % PT_REORDER_MARKS].end <= decided)
		r->due_cnt++;
	if (decided < r->arrived_end &&
	    m->cnt - r->due_cnt < PT_REORDER_MARKS)
		mark(m, r->arrived_end, now_ns,
		     m->cnt > r->due_cnt ? gap_ns / MARKS_A_WINDOW : 0);
}

__u64 pt_reorder_due(struct pt_reorder *r, __u64 seen_ns)
{
	const struct pt_reorder_marks *m = &r->gaps;
	__u64 gap_ns = pt_reorder_gap_ns(r), due = 0;
	__u64 quiet_ns = r->said_ns > r->arrived_ns ? r->said_ns
						    : r->arrived_ns;

	while (r->due_cnt < m->cnt &&
	       seen_ns >= m->at[r->due_cnt % PT_REORDER_MARKS].ns + gap_ns)
		due = m->at[r->due_cnt++ % PT_REORDER_MARKS].end;
	if (r->said_end > r->arrived_end &&
	    seen_ns >= quiet_ns + pt_reorder_tail_ns(r))
		due = r->said_end;
	return due;
}
