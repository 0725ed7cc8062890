/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* watched: a process whose memory is write protected, piece by piece, and the
 * search for processes that map the same files.
 *
 * A piece is a part of one mapping, and has pages in a row.  No byte of an
 * address space is in two pieces, but a byte of a file may be mapped at several
 * addresses, and be several pages of the memory.
 */
#ifndef TRACK_WATCHED_H
#define TRACK_WATCHED_H

#include "memory/mappings.h"
#include "track/tracker.h"
#include "track/wp.h"

struct pt_piece_wp {
	struct pt_mapping at;	/* start and end cut to the piece */
	__u64 page_idx;		/* of its first page; if it is in a range */
	__u64 seen_upto;	/* address, while the mappings are compared */
	enum pt_wp_pages pages;
	bool is_whole;		/* the next collect reports all of it */
	bool may_go;		/* it is in a loose range, or in none of the
				 * target: another mapping of the same file */
};

struct pt_pieces {
	struct pt_piece_wp *all;
	__u32 cnt, capacity;
};

struct pt_watched {
	pid_t pid;
	int maps;		/* of the address space that was opened */
	struct pt_wp wp;
	bool has_wp;
	bool is_replaced;	/* its number is another address space's */
	struct pt_pieces pieces;	/* ascend in address */
};

/* pt_watched_open: the caller fills wp.  -EPERM, -ESRCH, ... */
int pt_watched_open(struct pt_watched *p, pid_t pid, struct pt_error *err);
void pt_watched_close(struct pt_watched *p);	/* twice is allowed */

bool pt_watched_has(const struct pt_watched *p,
		    const struct pt_piece_wp *piece);

/* pt_watched_add registers a piece; with is_late it is protected, too, and the
 * next collect reports all of it.  As pt_tracker_open_wp. */
int pt_watched_add(struct pt_watched *p, const struct pt_piece_wp *piece,
		   bool is_late, struct pt_error *err);

/* pt_watched_arm: a piece that may go and cannot be protected, as its process
 * ended, is reported whole by the next collect. */
int pt_watched_arm(struct pt_watched *p, struct pt_error *err);

/* pt_watched_is_gone: the address space has no mappings any more. */
bool pt_watched_is_gone(const struct pt_watched *p);

/* pt_watched_collect reports.  A write to a file is one to each page of the
 * target's pieces that shows those bytes.  A piece that is not mapped as it was
 * is reported whole: its record went with its mapping.  If it may go it is
 * forgotten, else that is an error, each time. */
int pt_watched_collect(struct pt_watched *p, const struct pt_pieces *target,
		       const struct pt_track_to *to, struct pt_error *err);

/* pt_pieces_add copies the piece.  -ENOMEM. */
int pt_pieces_add(struct pt_pieces *to, const struct pt_piece_wp *piece);

/* pt_pieces_insert adds a piece to pieces that ascend, and returns it; NULL: no
 * memory. */
struct pt_piece_wp *pt_pieces_insert(struct pt_pieces *to,
				     const struct pt_piece_wp *piece);

/* pt_pieces_are: both have the same mappings. */
bool pt_pieces_are(const struct pt_pieces *a, const struct pt_pieces *b);
void pt_pieces_swap(struct pt_pieces *a, struct pt_pieces *b);

/* pt_pieces_of finds the ranges in the mappings of p.  pt_pieces_shared finds
 * the files of the pieces in writable mappings of process pid; of a process that
 * ended there are none; -EACCES: it cannot be looked at.  all is the caller's, to
 * free(3), in any case. */
int pt_pieces_of(struct pt_pieces *out, const struct pt_watched *p,
		 const struct pt_track_range *ranges, __u32 cnt,
		 struct pt_error *err);
int pt_pieces_shared(struct pt_pieces *out, const struct pt_pieces *of,
		     pid_t pid, struct pt_error *err);

/* pt_pieces_lacking finds the parts of loose ranges, which ascend, that are mapped
 * privately and to be written, and that no piece of p has.  all is the caller's. */
int pt_pieces_lacking(struct pt_pieces *out, const struct pt_watched *p,
		      const struct pt_track_range *ranges, __u32 cnt,
		      struct pt_error *err);

/* pt_same_memory: two processes have one address space. */
bool pt_same_memory(pid_t a, pid_t b);

#endif
