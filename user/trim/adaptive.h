/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* adaptive: the adaptive scan, which decides whether the next pages are scanned
 * for zero blocks.
 *
 * Scanning a page costs more than it saves in compressed files, ciphertext and
 * media, where there is nothing to find.  Similar memory lies together, so the
 * last pages predict the next ones:
 *
 *              2 MiB of data in a row did not pay
 *     search ------------------------------------> sample: each 16th page
 *            <------------------------------------
 *              the samples of a piece paid, or there were none for too long
 *
 *     plan --> (search the pages of the plan) --> learn --> plan ...
 *
 * for one scan batch ("piece") of 64 pages after the other.  A page that is not
 * scanned is only tested for being zero, which ends at its first data, and goes
 * whole.  That is never wrong: a zero block may be sent.
 *
 * Scanning pays if it saves at least one block in PT_ADAPTIVE_GAIN.  Scanning a
 * page takes 45 ns; a saved block spares both ends 16 ns in frames of 64 KiB
 * and 160 ns in frames of 1.5 KB.  So at one block in 128, half a block per
 * page, scanning breaks even in small frames and costs more in large ones; and
 * no more than one block in 128 is lost in uniform memory that is not scanned.
 *
 * Each hole breaks a run, which costs the receiver about as much as
 * PT_ADAPTIVE_HOLE blocks.  (In frames of 64 KiB a page with 16 holes of two
 * blocks takes both ends as long as a full one, with 32 holes of one block 2 us
 * longer.)  The sender gains by every block that it does not copy.  So holes
 * count only while the receiver is the bottleneck (pt_adaptive_strain), and for
 * PT_ADAPTIVE_STRAIN scan batches afterwards: on a slow link any block is worth
 * its hole.
 *
 * Pure: no clock, no allocation, no system call.  Threads: one.
 */
#ifndef TRIM_ADAPTIVE_H
#define TRIM_ADAPTIVE_H

#include <linux/types.h>
#include <stdbool.h>

#include "trim/trim.h"

#define PT_ADAPTIVE_PIECE	64	/* pages */
#define PT_ADAPTIVE_GAIN	128	/* blocks scanned per block saved */
#define PT_ADAPTIVE_LAG		512	/* pages with data without gain before
					 * it samples */
#define PT_ADAPTIVE_STEP	16	/* one page in so many is a sample */
#define PT_ADAPTIVE_BLIND	128	/* the most pages with data that are
					 * skipped in a row, plus one scan
					 * batch */
#define PT_ADAPTIVE_HOLE	2	/* the cost of a hole, in blocks */
#define PT_ADAPTIVE_STRAIN	512	/* pieces */

/* PT_ADAPTIVE_COUNTS: X(symbol, name, text).  Pages are those with data. */
#define PT_ADAPTIVE_COUNTS(X)						\
	X(pieces_searched, "pieces-searched", "pieces of 64 pages searched") \
	X(pieces_sampled, "pieces-sampled", "pieces searched by samples") \
	X(pages_searched, "pages-searched", "pages searched for zero blocks") \
	X(pages_unsearched, "pages-unsearched", "pages that went whole, unsearched") \
	X(blocks_saved, "blocks-saved", "zero blocks found, and not sent") \
	X(blocks_missed, "blocks-missed", "zero blocks sent, by the samples") \
	X(switches, "switches", "changes between searching and sampling")

struct pt_adaptive_counts {
#define X(symbol, name, text) __u64 symbol;
	PT_ADAPTIVE_COUNTS(X)
#undef X
};

/* pt_adaptive: callers only read the fields. */
struct pt_adaptive {
	enum pt_trim trim;
	bool observes;		/* everything is scanned; the counts state the
				 * decisions, and blocks_missed is exact */
	bool is_sampling;
	__u32 poor_cnt;		/* pages since a scan batch last paid */
	__u32 blind_cnt;	/* pages since one was scanned */
	__u32 strain_cnt;	/* scan batches left in which holes count */
	__u32 turn;		/* selects the next samples */
	__u64 learned;		/* bit: a page of the last scan batch that counts
				 * as searched */
	struct pt_adaptive_counts counts;
};

void pt_adaptive_init(struct pt_adaptive *g, enum pt_trim trim, bool observes);

/* pt_adaptive_plan returns the pages of the next scan batch that are to be
 * scanned: bit i is page i.  PT_TRIM_NONE scans nothing. */
__u64 pt_adaptive_plan(const struct pt_adaptive *g);

/* pt_adaptive_learn takes the result.  has_data: the pages of the scan batch
 * that are sent and not zero; masks: pt_scan() of each page in the plan (others
 * are not read). */
void pt_adaptive_learn(struct pt_adaptive *g, __u64 has_data,
		       const __u64 masks[PT_ADAPTIVE_PIECE]);

/* pt_adaptive_put_off takes page i of the last scan batch, which had data, out of the
 * counts of pages and blocks: it is not sent now, and is scanned again.  mask as in
 * pt_adaptive_learn. */
void pt_adaptive_put_off(struct pt_adaptive *g, unsigned i, __u64 mask);

/* pt_adaptive_strain notes that the receiver is the bottleneck. */
void pt_adaptive_strain(struct pt_adaptive *g);

#endif
