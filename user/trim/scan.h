/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* scan: finds the blocks of a page that hold data.
 *
 * A page is 64 blocks of 64 bytes.  The scan reads all 4096 bytes once, in
 * order, and never stops early, so that the page is in the cache for its copy.
 * pt_scan_any only tests whether a page is all zero.
 *
 * Variants in portable C, AVX2 and AVX-512; the widest that the CPU has is
 * chosen once, before main() runs.  All give the same mask for any page at any
 * address.  Pure functions: any thread.
 */
#ifndef TRIM_SCAN_H
#define TRIM_SCAN_H

#include <linux/types.h>
#include <stdbool.h>

/* pt_scan_fn: 4096 bytes at page, any alignment -> mask: bit b is set if block
 * b, the bytes [64 * b, 64 * b + 64), holds a byte that is not zero. */
typedef __u64 pt_scan_fn(const void *page);

/* pt_scan_chosen: the variant of this CPU, constant after start. */
extern pt_scan_fn *pt_scan_chosen;

static inline __u64 pt_scan(const void *page)
{
	return pt_scan_chosen(page);
}

/* pt_scan_any returns whether the page holds any data; the first block mostly
 * decides. */
static inline bool pt_scan_any(const void *page)
{
	__u64 w[8];

	__builtin_memcpy(w, page, sizeof(w));
	return (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]) ||
	       pt_scan(page);
}

/* pt_scan_variant: one way to scan, for tests, benchmarks and reports. */
struct pt_scan_variant {
	const char *name;	/* "portable", "avx2", "avx512" */
	pt_scan_fn *scan;	/* may only be called if is_supported */
	bool is_supported;	/* by this CPU and this kernel */
};

/* pt_scan_variants returns the *cnt variants of this build, slowest first. */
const struct pt_scan_variant *pt_scan_variants(unsigned int *cnt);

/* pt_scan_name returns the name of the chosen variant. */
const char *pt_scan_name(void);

#endif
