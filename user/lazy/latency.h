/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* latency: a histogram of times, of 1/8 of a power of two each.  Pure, one thread. */
#ifndef LAZY_LATENCY_H
#define LAZY_LATENCY_H

#include <linux/types.h>

#define PT_LATENCY_BINS	(64 * 8)

struct pt_latency {
	__u64 cnt, max_ns;
	__u64 bins[PT_LATENCY_BINS];
};

static inline __u32 pt_latency_bin(__u64 ns)
{
	__u32 octave;

	if (ns < 8)
		return ns;
	octave = 61 - __builtin_clzll(ns);
	return octave * 8 + (ns >> (octave - 1) & 7);
}

static inline void pt_latency_add(struct pt_latency *l, __u64 ns)
{
	l->cnt++;
	l->max_ns = ns > l->max_ns ? ns : l->max_ns;
	l->bins[pt_latency_bin(ns)]++;
}

/* pt_latency_ns returns the time that per_mille of a thousand did not exceed, up to an
 * eighth; 0: there was none. */
static inline __u64 pt_latency_ns(const struct pt_latency *l, __u32 per_mille)
{
	__u64 want = (l->cnt * per_mille + 999) / 1000, seen = 0;

	for (__u32 i = 0; i < PT_LATENCY_BINS; i++) {
		seen += l->bins[i];
		if (!l->cnt || seen < want || !seen)
			continue;
		/* The upper end of the bin. */
		if (i < 8)
			return i;
		return (((__u64)(i % 8) | 8) + 1) << (i / 8 - 1);
	}
	return 0;
}

#endif
