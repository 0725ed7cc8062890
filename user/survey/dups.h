/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* dups: counts the duplicate pages, in bounded memory.
 *
 * It counts distinct 64-bit hashes.  Up to PT_DUPS_MAX of them it is exact,
 * except for a collision of one pair in 2^64.  Beyond, it keeps only hashes
 * that start with one zero bit, then with two, ...: a sample of 1 in 2, 1 in 4,
 * ... of the distinct contents.  The sample has all copies of a content or
 * none, so its share of copies estimates that of the whole.
 *
 * Memory: 32 MiB for the table, touched as it fills; as much again while a
 * sample is halved.
 */
#ifndef SURVEY_DUPS_H
#define SURVEY_DUPS_H

#include <linux/types.h>

#define PT_DUPS_SLOTS	(1u << 22)
#define PT_DUPS_MAX	(PT_DUPS_SLOTS / 4 * 3)	/* contents in it */

struct pt_dups;

/* pt_dups_create: slots is a power of two, 16..2^31 (PT_DUPS_SLOTS except in
 * tests); three quarters of them are used.  -ENOMEM. */
int pt_dups_create(struct pt_dups **out, __u32 slots);
void pt_dups_destroy(struct pt_dups *t);	/* NULL is fine */

/* pt_dups_add notes one page with this hash of its content.  1: it equals an
 * earlier one; 0: it does not, or is not in the sample; -ENOMEM: no memory to
 * halve the sample. */
int pt_dups_add(struct pt_dups *t, __u64 hash);

/* pt_dups_copies returns how many of the pages added equal an earlier one:
 * exact if pt_dups_sample is 1, else an estimate. */
__u64 pt_dups_copies(const struct pt_dups *t);

/* pt_dups_sample returns n if 1 in n contents was counted: 1, 2, 4, ... */
__u64 pt_dups_sample(const struct pt_dups *t);

#endif
