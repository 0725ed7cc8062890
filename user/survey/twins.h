/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* twins: counts the duplicate pages, in bounded memory.
 *
 * It counts distinct 64-bit hashes.  Up to PT_TWINS_MAX of them it is exact,
 * except for a collision of one pair in 2^64.  Beyond, it keeps only hashes
 * that start with one zero bit, then with two, ...: a sample of 1 in 2, 1 in 4,
 * ... of the distinct contents.  The sample has all copies of a content or
 * none, so its share of copies estimates that of the whole.
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

/* pt_twins_create: slots is a power of two, 16..2^31 (PT_TWINS_SLOTS except in
 * tests); three quarters of them are used.  -ENOMEM. */
int pt_twins_create(struct pt_twins **out, __u32 slots);
void pt_twins_destroy(struct pt_twins *t);	/* NULL is fine */

/* pt_twins_add notes one page with this hash of its content.  1: it equals an
 * earlier one; 0: it does not, or is not in the sample; -ENOMEM: no memory to
 * halve the sample. */
int pt_twins_add(struct pt_twins *t, __u64 hash);

/* pt_twins_copies returns how many of the pages added equal an earlier one:
 * exact if pt_twins_sample is 1, else an estimate. */
__u64 pt_twins_copies(const struct pt_twins *t);

/* pt_twins_sample returns n if 1 in n contents was counted: 1, 2, 4, ... */
__u64 pt_twins_sample(const struct pt_twins *t);

#endif
