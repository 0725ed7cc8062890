/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* checksum: XXH3-128, seed 0, canonical (big-endian, high half first), over
 * bytes that may lie in pieces.  Pure functions: any thread.
 */
#ifndef WIRE_CHECKSUM_H
#define WIRE_CHECKSUM_H

#include <linux/types.h>

#include <pagetrim/span.h>
#include <pagetrim/wire.h>

/* pt_checksum writes the checksum of the bytes of all spans, in order.  One
 * span is quickest.  Pieces of any size, 0 included, give the same result. */
void pt_checksum(const struct pt_span *spans, unsigned int span_cnt,
		 __u8 out[PT_AUTH_SZ]);

#endif
