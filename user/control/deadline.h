/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* deadline: how long poll may still wait, when it is called more than once. */
#ifndef CONTROL_DEADLINE_H
#define CONTROL_DEADLINE_H

#include <limits.h>
#include <time.h>
#include <linux/types.h>

static inline __u64 pt_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline __u64 pt_deadline_ns(int timeout_ms)
{
	return pt_now_ns() + timeout_ms * 1000000ULL;
}

/* pt_left_ms: milliseconds for poll until deadline, rounded up; 0: passed. */
static inline int pt_left_ms(__u64 deadline_ns)
{
	__u64 now = pt_now_ns();
	__u64 ms;

	if (now >= deadline_ns)
		return 0;
	ms = (deadline_ns - now + 999999) / 1000000;
	return ms > INT_MAX ? INT_MAX : ms;
}

#endif
