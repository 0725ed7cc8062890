/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* checksum: XXH3-128, seed 0, canonical (big-endian, high half first), over
 * bytes in one or several pieces.
 *
 * The hash runs at memory's speed only with AVX2 (47 GB/s against 18 with
 * SSE2, of bytes in the cache); the variant is chosen once, before main() runs.
 * Pure functions: any thread.
 */
#ifndef WIRE_CHECKSUM_H
#define WIRE_CHECKSUM_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/span.h>
#include <pagetrim/wire.h>

typedef void pt_checksum_fn(const struct pt_span *spans, unsigned int span_cnt,
			    __u8 out[PT_AUTH_SZ]);

/* pt_checksum_chosen: the variant of this CPU, constant after start. */
extern pt_checksum_fn *pt_checksum_chosen;

/* pt_checksum writes the checksum of the bytes of all spans, in order.  One
 * span is fastest.  Pieces of any size, 0 included, give the same result. */
static inline void pt_checksum(const struct pt_span *spans,
			       unsigned int span_cnt, __u8 out[PT_AUTH_SZ])
{
	pt_checksum_chosen(spans, span_cnt, out);
}

/* pt_checksum_variant: one implementation, for tests and benchmarks. */
struct pt_checksum_variant {
	const char *name;	/* "portable", "avx2" */
	pt_checksum_fn *checksum; /* may only be called if is_supported */
	bool is_supported;	/* by this CPU and this kernel */
};

/* pt_checksum_variants returns the *cnt variants of this build. */
const struct pt_checksum_variant *pt_checksum_variants(unsigned int *cnt);

#endif
