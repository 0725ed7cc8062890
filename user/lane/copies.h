/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* copies: finds a page of the same content that a lane has sent, so that a page
 * may go as a copy of it (dedup).
 *
 * Shape: a table of slots, 8 bytes each, by the low bits of pt_digest_content;
 * direct-mapped: later inserts overwrite.  A hit is only a hint: a slot may
 * belong to another content, or to a page that was sent again since.  Threads:
 * one lane's, no locks.
 */
#ifndef LANE_COPIES_H
#define LANE_COPIES_H

#include <stdbool.h>
#include <linux/types.h>

#define PT_COPIES_SLOTS_MAX	(1u << 20)	/* of all lanes: 8 MiB */

/* pt_original: a page that may be the original of a copy. */
struct pt_original {
	__u64 page_idx;
	__u32 seq;		/* of the last frame that carries it, the lower
				 * 32 bits */
};

struct pt_copies_slot {
	__u32 page;		/* page_idx + 1; 0: empty */
	__u32 seq;
};

struct pt_copies {
	__u64 mask;			/* slots - 1 */
	struct pt_copies_slot *slots;	/* NULL: none; nothing else must be
					 * called */
	__u32 *versions;		/* by page_idx, as the page was sent last;
					 * 0: never, or as zeroes only */
	__u64 page_cnt;
};

/* pt_copies_init makes an empty table for one of lane_cnt lanes that share
 * page_cnt page indices.  For more pages than a slot can number it makes no
 * table, and returns 0, too.  -ENOMEM. */
int pt_copies_init(struct pt_copies *c, __u64 page_cnt, __u32 lane_cnt);
void pt_copies_free(struct pt_copies *c);	/* may be called twice, and
						 * after {} */

/* pt_copies_slot returns the slot of a content's page. */
static inline struct pt_copies_slot *pt_copies_slot(const struct pt_copies *c,
						    __u64 content)
{
	return &c->slots[content & c->mask];
}

/* pt_copies_find returns whether there is a page that may have the content. */
static inline bool pt_copies_find(const struct pt_copies *c, __u64 content,
				  struct pt_original *original)
{
	struct pt_copies_slot slot = *pt_copies_slot(c, content);

	original->page_idx = slot.page - 1ULL;
	original->seq = slot.seq;
	return slot.page;
}

/* pt_copies_note notes that page_idx, of this content, ends in frame seq. */
static inline void pt_copies_note(struct pt_copies *c, __u64 content,
				  __u64 page_idx, __u64 seq)
{
	*pt_copies_slot(c, content) = (struct pt_copies_slot){
		.page = page_idx + 1, .seq = seq,
	};
}

/* pt_copies_note_later: the page ends in frame seq, if it is still noted. */
static inline void pt_copies_note_later(struct pt_copies *c, __u64 content,
					__u64 page_idx, __u64 seq)
{
	struct pt_copies_slot *slot = pt_copies_slot(c, content);

	if (slot->page == page_idx + 1)
		slot->seq = seq;
}

/* pt_copies_sent: page_idx goes in that version.  pt_copies_version: the last. */
static inline void pt_copies_sent(struct pt_copies *c, __u64 page_idx,
				  __u32 version)
{
	c->versions[page_idx] = version;
}

static inline __u32 pt_copies_version(const struct pt_copies *c, __u64 page_idx)
{
	return c->versions[page_idx];
}

/* pt_copies_is_settled: the original's frame is below placed_upto, so it is
 * placed, and is not one of [placed_upto, next]; frame next is the next to go.  An
 * original that is not settled is never called so; since only the lower half of
 * seq is known, one that was sent 2^32 frames ago may be called unsettled. */
static inline bool pt_copies_is_settled(const struct pt_original *original,
					__u64 placed_upto, __u64 next)
{
	return (__u32)(original->seq - (__u32)placed_upto) >
	       (__u32)(next - placed_upto);
}

#endif
