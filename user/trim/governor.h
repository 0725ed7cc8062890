/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* governor: whether the next pages are to be searched for zero blocks.
 *
 * To search a page costs more than it saves where nothing is found: compressed
 * files, ciphertext, media.  Memory of one sort lies together, so what was just
 * seen tells what comes:
 *
 *              2 MiB of data in a row did not pay
 *     search ------------------------------------> sample: each 16th page
 *            <------------------------------------
 *              the samples of a piece paid, or there were none for too long
 *
 *     plan --> (search the pages of the plan) --> learn --> plan ...
 *
 * for one piece of 64 pages after the other.  A page that is not searched is
 * only tested for being zero, which for others ends at their first block, and
 * goes whole.  That is never wrong: a zero block that is sent is sent.
 *
 * What pays: blocks saved, of those searched, no fewer than one in
 * PT_GOVERNOR_GAIN.  To search a page takes 45 ns; a block saved spares both
 * ends 16 ns in frames of 64 KiB and 160 ns in frames of 1.5 KB.  So one in 128,
 * half a block a page, is where searching costs about what it brings in small
 * frames, and more in large ones; and what is lost by not searching is less than
 * one block in 128 of memory that stays as it is.
 *
 * Holes do not come free: each breaks a run, which costs the receiver about as
 * much as PT_GOVERNOR_HOLE blocks.  (In frames of 64 KiB a page of 16 holes of
 * two blocks takes both ends as long as a whole one, of 32 holes of one 2 us
 * longer.)  The sender gains by every block it does not copy.  So holes count
 * only while it is the receiver that holds the transfer up
 * (pt_governor_strain), and for PT_GOVERNOR_STRAIN pieces after: on a link that
 * is slow any block is worth its hole.
 *
 * Pure: no clock, no memory, no system call.  Threads: of one.
 */
#ifndef PT_TRIM_GOVERNOR_H
#define PT_TRIM_GOVERNOR_H

#include <linux/types.h>
#include <stdbool.h>

#include "trim/trim.h"

#define PT_GOVERNOR_PIECE	64	/* pages */
#define PT_GOVERNOR_GAIN	128	/* blocks searched to one saved */
#define PT_GOVERNOR_LAG		512	/* pages with data that must not have
					 * paid before it samples */
#define PT_GOVERNOR_STEP	16	/* pages to one that is a sample */
#define PT_GOVERNOR_BLIND	128	/* pages with data that go unsearched in
					 * a row, at most a piece more */
#define PT_GOVERNOR_HOLE	2	/* blocks that a hole costs */
#define PT_GOVERNOR_STRAIN	512	/* pieces */

/* PT_GOVERNOR_COUNTS: X(symbol, name, text).  Pages are those with data. */
#define PT_GOVERNOR_COUNTS(X)						\
	X(pieces_searched, "pieces-searched", "pieces of 64 pages searched") \
	X(pieces_sampled, "pieces-sampled", "pieces searched by samples") \
	X(pages_searched, "pages-searched", "pages searched for zero blocks") \
	X(pages_unsearched, "pages-unsearched", "pages that went whole, unsearched") \
	X(blocks_saved, "blocks-saved", "zero blocks found, and not sent") \
	X(blocks_missed, "blocks-missed", "zero blocks sent, by the samples") \
	X(switches, "switches", "changes between searching and sampling")

struct pt_governor_counts {
#define X(symbol, name, text) __u64 symbol;
	PT_GOVERNOR_COUNTS(X)
#undef X
};

/* pt_governor: fields are for reading only. */
struct pt_governor {
	enum pt_trim trim;
	bool observes;		/* all is searched; counts tell what it would
				 * have done, blocks_missed exactly */
	bool is_sampling;
	__u32 poor_cnt;		/* pages since a piece last paid */
	__u32 blind_cnt;	/* pages since one was searched */
	__u32 strain_cnt;	/* pieces that are left in which holes count */
	__u32 turn;		/* which pages are the next samples */
	struct pt_governor_counts counts;
};

void pt_governor_init(struct pt_governor *g, enum pt_trim trim, bool observes);

/* pt_governor_plan returns which pages of the next piece are to be searched:
 * bit i, page i.  With PT_TRIM_NONE there is nothing to search for. */
__u64 pt_governor_plan(const struct pt_governor *g);

/* pt_governor_learn takes what was found.  has_data: pages of the piece that
 * are sent and not zero; masks: by page, pt_scan() of those in the plan (of
 * others not read). */
void pt_governor_learn(struct pt_governor *g, __u64 has_data,
		       const __u64 masks[PT_GOVERNOR_PIECE]);

/* pt_governor_strain: we had to wait for the receiver, and for nothing else. */
void pt_governor_strain(struct pt_governor *g);

#endif
