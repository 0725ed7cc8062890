/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* clock: nanoseconds that never go back (CLOCK_MONOTONIC), and the remaining
 * timeout of repeated calls of poll.  All code reads the clock here, so that
 * times of different parts can be compared. */
#ifndef PAGETRIM_CLOCK_H
#define PAGETRIM_CLOCK_H

#include <limits.h>
#include <linux/types.h>
#include <time.h>

static inline __u64 pt_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* pt_deadline_ns returns the time in timeout_ms, 0 or more, from now. */
static inline __u64 pt_deadline_ns(int timeout_ms)
{
	return pt_clock_ns() + timeout_ms * 1000000ULL;
}

/* pt_left_ms returns the milliseconds until deadline for poll, rounded up; 0:
 * it has passed. */
static inline int pt_left_ms(__u64 deadline_ns)
{
	__u64 now = pt_clock_ns();
	__u64 ms;

	if (now >= deadline_ns)
		return 0;
	ms = (deadline_ns - now + 999999) / 1000000;
	return ms > INT_MAX ? INT_MAX : ms;
}

#endif
