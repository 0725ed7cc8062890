/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* congestion_filter: what the controller remembers of a path in a few numbers: the
 * least value of a while, and the share of what was lost.
 * For congestion.c alone.  Threads: the caller's one at a time. */
#ifndef TRANSFER_CONGESTION_FILTER_H
#define TRANSFER_CONGESTION_FILTER_H

#include <string.h>

#include "transfer/congestion.h"

#define NONE_NS		((__s64)(~0ULL >> 1))

static inline double max2(double a, double b)
{
	return a > b ? a : b;
}

static inline double min2(double a, double b)
{
	return a < b ? a : b;
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

#endif
