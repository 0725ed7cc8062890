/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* twins: how many pages are copies of another, in bounded memory.
 *
 * Counts the different 64-bit hashes that it is given.  Up to PT_TWINS_MAX of
 * them it is exact, but for the one pair in 2^64 that collides.  Beyond, it
 * keeps only hashes that start with a zero bit, then with two, ...: a sample of
 * 1 in 2, 1 in 4, ... of the different contents, in which all copies of a
 * content are in, or all are out; so the share of copies in the sample
 * estimates that of the whole.
 *
 * Memory: 32 MiB for the table, touched as it fills; as much again while a
 * sample is halved.
 */
#ifndef SURVEY_TWINS_H
#define SURVEY_TWINS_H

#include <linux/types.h>

#define PT_TWINS_SLOTS	(1u << 22)
#define PT_TWINS_MAX	(PT_TWINS_SLOTS / 4 * 3)	/* contents in it */

struct pt_twins;

/* pt_twins_create: slots is a power of two, 16..2^31 (PT_TWINS_SLOTS but in
 * tests); three quarters of it are used.  -ENOMEM. */
int pt_twins_create(struct pt_twins **out, __u32 slots);
void pt_twins_destroy(struct pt_twins *t);	/* NULL is fine */

/* pt_twins_add notes one page with this hash of its content.  1: it equals an
 * earlier one; 0: it does not, or is not in the sample; -ENOMEM: the sample had
 * to be halved and there was no memory to do it. */
int pt_twins_add(struct pt_twins *t, __u64 hash);

/* pt_twins_copies returns how many of the pages added equal an earlier one:
 * exact if pt_twins_sample is 1, else an estimate. */
__u64 pt_twins_copies(const struct pt_twins *t);

/* pt_twins_sample: 1 in so many contents was counted: 1, 2, 4, ... */
__u64 pt_twins_sample(const struct pt_twins *t);

#endif
