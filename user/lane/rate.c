/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/rate.h"

#include <errno.h>

#include <pagetrim/wire.h>

#define BYTES_A_MBIT	125000ULL

_Static_assert(PT_RATE_MIN >= PT_MTU_MAX, "the largest frame within a second");

int pt_rate_choose(__u64 *bytes_per_s, __u64 wish,
		   const struct pt_device *dev, struct pt_error *err)
{
	__u64 link = dev->speed_mbit * BYTES_A_MBIT;
	__u64 rate = wish == PT_RATE_AUTO ? link : wish;

	/* No host has that rate, so the request is wrong. */
	if (rate != PT_RATE_NONE && rate < PT_RATE_MIN)
		return pt_error_set(err, PT_EXIT_USAGE, -ERANGE,
				    "{max-bandwidth} %llu: a frame would wait "
				    "for longer than a second (%llu works)",
				    (unsigned long long)rate, PT_RATE_MIN);
	if (link && rate > link)
		return pt_error_set(err, PT_EXIT_HOST, -ERANGE, "%s: its link "
				    "has %u Mbit/s, {max-bandwidth} asks for "
				    "%llu bytes a second (%llu works)",
				    dev->name, dev->speed_mbit,
				    (unsigned long long)rate,
				    (unsigned long long)link);
	*bytes_per_s = rate;
	return 0;
}
