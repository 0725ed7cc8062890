/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rate: chooses a transfer's limit in Ethernet bytes per second.  An impossible
 * limit is refused, and the error names a possible one. */
#ifndef LANE_RATE_H
#define LANE_RATE_H

#include "base/size.h"
#include "lane/pacer.h"
#include "xdp/device.h"

#define PT_RATE_NONE	0
#define PT_RATE_AUTO	(~0ULL)		/* the link's speed; none if unknown */

/* pt_rate_choose writes the limit for a wish: a rate, NONE or AUTO; an error
 * leaves it as it was.
 *   -ERANGE  too little to pace (PT_EXIT_USAGE), or more than the link has
 *            (PT_EXIT_HOST) */
int pt_rate_choose(__u64 *bytes_per_s, __u64 wish,
		   const struct pt_device *dev, struct pt_error *err);

#endif
