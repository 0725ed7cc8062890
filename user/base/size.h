/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* size: sizes and rates as people write them.
 *
 *     number [unit]      bytes:   4096, 64K, 1.5G, 10GiB, 512 MB: powers of 1024
 *                        a rate:  the same, with /s or without; 10Gbit/s,
 *                                 100Mbit: powers of 1000, in bits
 *
 * Case does not matter, except that of bit and, in a rate, of B: 10Gb/s would be
 * bits for one reader and bytes for another.  Pure functions.
 */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stdbool.h>
#include <linux/types.h>

/* Limits that can be set, in bytes per second. */
#define PT_RATE_MIN	(64ULL << 10)	/* the largest frame within a second */
#define PT_RATE_MAX	(1ULL << 40)

enum pt_size_kind {
	PT_SIZE_PLAIN,		/* a whole number, without a unit */
	PT_SIZE_BYTES,
	PT_SIZE_RATE,		/* bytes per second */
};

/* pt_size_parse returns false for anything else, and for a value outside of
 * [min, max].  A fraction of a byte is cut off. */
bool pt_size_parse(const char *text, enum pt_size_kind kind, __u64 min,
		   __u64 max, __u64 *out);

/* pt_size_is_plain: the text is digits, with K, M, G or T at most, which leaves no
 * doubt of the value. */
bool pt_size_is_plain(const char *text);

#endif
