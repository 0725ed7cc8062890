/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ptrim_log: the notes in an image at rest that is being received.  A committed image
 * still has them, between units; no reader of it needs them.
 *
 *     check        8   XXH3 of the rest of the note, seed: where the note is
 *     what         8   bits 63..56: pages of the unit, 55..48: copies, 47..0: bytes that
 *                      follow the note: the unit, or a small file
 *     first        8   the unit's first page, bytes of the raw image / 4096
 *     distances    2 each page of the unit: its number less that of the first, signed
 *     copies      16 each: a page, and the entry of the page table that it has
 */
#ifndef IMAGE_PTRIM_LOG_H
#define IMAGE_PTRIM_LOG_H

#include <stdbool.h>

#include "image/format.h"

#define PT_LOG_COPIES	64	/* of a note */
#define PT_LOG_FAR	32767	/* pages between a unit's first and another */
#define PT_LOG_NOTE_MAX	(24 + 2 * PT_PTRIM_UNIT_PAGES + 16 * PT_LOG_COPIES)

struct pt_log_copy {
	__u64 page, entry;
};

struct pt_log_note {
	__u32 page_cnt, copy_cnt;
	__u64 sz;		/* of the bytes that follow */
	__u64 pages[PT_PTRIM_UNIT_PAGES];
	struct pt_log_copy copies[PT_LOG_COPIES];
};

/* pt_log_sz: the bytes of the note. */
__u32 pt_log_sz(const struct pt_log_note *note);

/* pt_log_encode writes the note for the place off of the file. */
void pt_log_encode(const struct pt_log_note *note, __u64 off, __u8 *to);

/* pt_log_decode reads a note at off, of at most left bytes, which it returns; 0: there
 * is none, or it is damaged. */
__u32 pt_log_decode(struct pt_log_note *note, __u64 off, const __u8 *from,
		    __u64 left);

#endif
