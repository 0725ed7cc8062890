/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* congestion_filter: the controller's memory of a path: minimum over a time,
 * and loss rate.  For congestion.c only.  Threads: one at a time. */
#ifndef LANE_CONGESTION_FILTER_H
#define LANE_CONGESTION_FILTER_H

#include <string.h>

#include "lane/congestion.h"

#define NONE_NS		((__s64)(~0ULL >> 1))

static inline double max2(double a, double b)
{
	return a > b ? a : b;
}

static inline double min2(double a, double b)
{
	return a < b ? a : b;
}

/* cube_root by Newton. */
static inline double cube_root(double x)
{
	double y = x > 1 ? x / 3 + 1 : 1;

	for (int i = 0; i < 60; i++)
		y -= (y * y * y - x) / (3 * y * y);
	return y;
}

static inline void least_add(struct pt_cc_least *l, __s64 value, __u64 now_ns)
{
	if (now_ns - l->since_ns > PT_CC_BASE_NS / PT_CC_BASES) {
		memmove(&l->values[1], &l->values[0],
			(PT_CC_BASES - 1) * sizeof(l->values[0]));
		l->values[0] = value;
		l->since_ns = now_ns;
	}
	if (value < l->values[0])
		l->values[0] = value;
}

static inline __s64 least(const struct pt_cc_least *l)
{
	__s64 value = NONE_NS;

	for (int i = 0; i < PT_CC_BASES; i++)
		if (l->values[i] < value)
			value = l->values[i];
	return value;
}

static inline void least_init(struct pt_cc_least *l)
{
	for (int i = 0; i < PT_CC_BASES; i++)
		l->values[i] = NONE_NS;
	l->since_ns = 0;
}

static inline void part_arrived(struct pt_cc_part *p, __u64 sz, double limit_sz)
{
	p->arrived += sz;
	if (p->arrived + p->lost > limit_sz) {
		p->arrived /= 2;
		p->lost /= 2;
	}
}

static inline double part(const struct pt_cc_part *p)
{
	double all = p->arrived + p->lost;

	return all > 0 ? p->lost / all : 0;
}

/* past finds the round of frames sent at sent_ns; NULL: it is forgotten. */
static inline const struct pt_cc_past *past(const struct pt_congestion *c,
					    __u64 sent_ns)
{
	const struct pt_cc_past *found = NULL;

	for (__u32 i = 0; i < PT_CC_PAST && i < c->past_cnt; i++) {
		const struct pt_cc_past *p =
			&c->past[(c->past_cnt - 1 - i) % PT_CC_PAST];

		if (p->sent_ns < sent_ns)
			break;
		found = p;
	}
	return found;
}

#endif
