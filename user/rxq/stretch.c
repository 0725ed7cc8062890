/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/stretch.h"

enum pt_fill pt_stretch_fill(__u32 fill_cnt, __u32 credit, __u32 ring_cnt,
			     __u32 batch_cnt)
{
	if (fill_cnt + batch_cnt >= ring_cnt)
		return PT_FILL_FULL;
	if (fill_cnt >= credit / 4 * 3)
		return PT_FILL_NEAR;
	return fill_cnt >= credit / 2 ? PT_FILL_HALF : PT_FILL_LOW;
}

static void begin_round(struct pt_stretch *s, const struct pt_stretch_look *look)
{
	s->since_ns = look->now_ns;
	s->came_desc = look->came_desc;
	s->fill = PT_FILL_LOW;
}

/* most returns the largest window that may follow `from` after a round. */
static __u64 most(const struct pt_stretch *s, __u32 from)
{
	__u64 to = 2 * (__u64)from;

	if (s->slow_from && from >= s->slow_from)
		to = from + from / 8;
	else if (s->slow_from && to > s->slow_from)
		to = s->slow_from;
	return to < PT_STRETCH_MAX ? to : PT_STRETCH_MAX;
}

/* forget drops a window that is no larger than the share, or the lane would
 * keep it when its share shrinks. */
static void forget(struct pt_stretch *s, __u32 share)
{
	if (s->window <= share)
		s->window = 0;
}

/* fit moves the window towards the target: up as far as the ring allows, and
 * down slowly, since a sender may pause for a round. */
static void fit(struct pt_stretch *s, __u32 share, __u64 want)
{
	__u32 from = pt_stretch_window(s, share);
	__u64 to = most(s, from);

	if (want <= from)
		s->window = from - (from - want) / 8;
	else if (s->fill == PT_FILL_LOW)
		s->window = want < to ? want : to;
	forget(s, share);
	s->is_used |= s->window > 0;
}

static void warn(struct pt_stretch *s, const struct pt_stretch_look *look)
{
	__u32 half = pt_stretch_window(s, look->share) / 2;

	if (!s->warned_ns || look->now_ns - s->warned_ns > look->rtt_ns) {
		s->slow_from = half;
		s->warned_ns = look->now_ns;
		s->window = half;
	}
	if (look->fill == PT_FILL_FULL)
		s->window = 0;
	forget(s, look->share);
}

void pt_stretch_take(struct pt_stretch *s, const struct pt_stretch_look *look)
{
	__u64 took_ns = look->now_ns - s->since_ns;

	if (look->fill > s->fill)
		s->fill = look->fill;
	if (look->fill >= PT_FILL_NEAR) {
		warn(s, look);
		begin_round(s, look);
		return;
	}
	if (!s->since_ns) {
		begin_round(s, look);
		return;
	}
	if (!took_ns || took_ns < look->rtt_ns)
		return;
	fit(s, look->share, 2 * (look->came_desc - s->came_desc) *
			    look->rtt_ns / took_ns);
	begin_round(s, look);
}
