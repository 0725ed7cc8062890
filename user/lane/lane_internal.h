/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lane_internal: the internals that lane*.c share. */
#ifndef LANE_LANE_INTERNAL_H
#define LANE_LANE_INTERNAL_H

#include <errno.h>
#include <pthread.h>

#include "lane/batch.h"
#include "lane/chooser.h"
#include "lane/copies.h"
#include "lane/deltas.h"
#include "lane/inflight.h"
#include "lane/lane.h"
#include "source/page_word.h"
#include "wire/builder.h"

#define PT_LANE_FRAMES		8192		/* the most unacknowledged
						 * frames */
#define PT_LANE_EXTENTS		(1u << 16)
#define PT_LANE_LARGE_LOST	128	/* large frames lost, and none came: */
					/* the path takes smaller ones only */
#define PT_LANE_SYNC_NS		1000000ULL	/* without credit, then SYNC */

_Static_assert(PT_INBOX_RANGES >= PT_LANE_FRAMES, "all may be missing");
_Static_assert(PT_INBOX_REFUSED >= PT_LANE_EXTENTS, "all may be refused");

/* pt_lane_source: the thread that changes AT_SOURCE first owns the socket. */
enum pt_lane_source {
	PT_LANE_ELSEWHERE,
	PT_LANE_AT_SOURCE,	/* reads the source: uses neither socket nor
				 * control */
	PT_LANE_PARTED,		/* and never will use them again */
};

/* pt_noted: a page that is noted in copies, and of which a part is staged. */
struct pt_noted {
	__u64 content;
	__u64 page_idx;
};

struct pt_lane {
	struct pt_lane_cfg cfg;
	pthread_t thread;
	struct pt_inbox *inbox;
	atomic_int state;
	int error;			/* of state FAILED */
	struct pt_error error_text;
	struct pt_lane_counts counts;

	struct pt_view view;
	struct pt_copies copies;	/* without slots: dedup is off */
	struct pt_noted noted[PT_RECORDS_MAX];
	__u32 noted_cnt;
	struct pt_deltas deltas;	/* without sets: no deltas */
	__u32 settled_generation;	/* all frames of it, and of those
					 * before, are decided and placed */
	struct pt_adaptive governor;
	struct pt_builder builder;
	struct pt_compressor *compressors[PT_COMPRESSION_CNT];	/* NULL: not
							 * used */
	struct pt_chooser chooser;	/* of one, if the job has it */
	struct pt_inflight *inflight;
	__u32 frame_sz;			/* agreed with the receiver */
	__u32 large_lost;		/* large frames lost since one last
					 * came */
	__u16 src_port;			/* the first that was tried */
	__u32 generation;
	__u32 round;
	__u64 dirty_cnt;
	__u64 sent_desc;		/* since the start */
	__u64 lost_desc;
	__u64 freed_desc;
	__u64 placed_upto;		/* accepted frames below this are in the
					 * sink */
	__u64 sent_sz;			/* bytes since the start, of which
					 * ... */
	__u64 arrived_sz;		/* ... arrived, */
	__u64 lost_sz;			/* ... were called missing */
	__u64 lost_told_sz;		/* bytes of these that the regulator
					 * knows */
	__u64 lost_ns;			/* when the last one was sent */
	__u64 top;			/* one above the newest arrived frame */
	__u64 sent_ns;			/* time of the frames of the next
					 * kick */
	__u32 leave_sz;			/* the rest of the regulator's leave */
	__u64 unaccepted_ns;		/* since when frames are sent without an
					 * acceptance; 0: none was sent */
	__u64 doubt_ns;			/* since when that is suspiciously
					 * long */
	__u32 window;
	__u64 synced_seq;		/* number in the last SYNC */
	__u64 waited_ns;		/* since the frame before, for path,
					 * receiver, or a limit */
	struct pt_batch unkicked;	/* submitted since the last kick */
	__u16 slot;			/* regions slot, slot + slot_cnt, ... */
	__u16 slot_cnt;
	__u64 probe_next;
	struct {			/* two probes, sent one behind the other */
		__u64 first;		/* the first's number; the other has the
					 * next */
		__u64 sent_ns;
		__u64 seen_ns;		/* when the first was reported; 0: not
					 * yet */
		__u64 arrived_ns;	/* its arrival, by the receiver's
					 * clock */
		__u64 took_ns;		/* how much later the other arrived; 0:
					 * not yet */
	} pair;
	bool go;
	bool reprobe;
	bool is_probing;
	bool stop;
	atomic_int at_source;		/* enum pt_lane_source */
	atomic_bool has_ended;
	struct pt_mail mail;		/* the mail taken last */
};

/* All functions return 0 or -errno with l->error_text filled; -ECANCELED: the
 * lane must stop. */

/* lane.c: takes the inbox, waiting up to timeout_ns, and acts on acks. */
int pt_lane_take_mail(struct pt_lane *l, __u64 timeout_ns);

/* These enclose every read of the source, which may take any time.  left
 * returns ret, or -ECANCELED: another thread owns the socket. */
static inline void pt_lane_source_enter(struct pt_lane *l)
{
	atomic_store_explicit(&l->at_source, PT_LANE_AT_SOURCE,
			      memory_order_release);
}

static inline int pt_lane_source_left(struct pt_lane *l, int ret)
{
	int was = PT_LANE_AT_SOURCE;

	return atomic_compare_exchange_strong(&l->at_source, &was,
					      PT_LANE_ELSEWHERE)
		? ret : -ECANCELED;
}

/* pt_lane_is_settled: all frames are decided, and the accepted ones are in the
 * sink. */
static inline bool pt_lane_is_settled(const struct pt_lane *l)
{
	return pt_inflight_is_empty(l->inflight) &&
	       l->placed_upto == pt_inflight_next_seq(l->inflight);
}

/* lane_sweep.c: pt_lane_sweep sends each dirty page once; pt_lane_show_dirty
 * reports how many there are. */
int pt_lane_sweep(struct pt_lane *l);
void pt_lane_show_dirty(struct pt_lane *l);

/* lane_records.c: */
int pt_lane_add_page(struct pt_lane *l, __u64 gfn, __u64 mask,
		     const void *page);
int pt_lane_add_data(struct pt_lane *l, const struct pt_page_word *w,
		     unsigned i);	/* the blocks of page i after
					 * trimming */
int pt_lane_add_zeroes(struct pt_lane *l, __u64 gfn, __u64 page_cnt);
int pt_lane_add_unreadable(struct pt_lane *l, __u64 gfn);
int pt_lane_add_copy(struct pt_lane *l, __u64 gfn, __u64 original_gfn,
		     __u32 version);
int pt_lane_add_delta(struct pt_lane *l, __u64 gfn, __u32 base, __u64 changed,
		      __u64 whole, const void *page);

/* lane_frame.c: pt_lane_close_frame sends the staged frame, or as much of it as fits:
 * then the rest stays staged. */
int pt_lane_close_frame(struct pt_lane *l);
int pt_lane_flush(struct pt_lane *l);	/* closes and kicks */
void pt_lane_builder_reset(struct pt_lane *l);	/* to frame_sz */
int pt_lane_kick(struct pt_lane *l);

/* pt_lane_spent returns -EOVERFLOW: of these numbers max was the last. */
int pt_lane_spent(struct pt_lane *l, const char *what, __u64 max);

void pt_lane_tx_wait(struct pt_lane *l);	/* for the device, not long */

/* pt_lane_nudge is called before the lane sleeps: it kicks a zero-copy driver
 * again for waiting frames, so that none waits longer than PT_XSK_STALE_NS. */
int pt_lane_nudge(struct pt_lane *l, __u64 *timeout_ns);
int pt_lane_drain(struct pt_lane *l);	/* kicks until the device took all */
int pt_lane_sync(struct pt_lane *l);	/* sends SYNC with our last number */
int pt_lane_lost(struct pt_lane *l, const struct pt_seq_range *range);
__u32 pt_lane_small_sz(const struct pt_lane *l);	/* passes everywhere */
__u64 pt_lane_mark_dirty(struct pt_lane *l, __u64 gfn, __u64 page_cnt);

static inline void pt_lane_count(_Atomic __u64 *counter, __u64 by)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter,
			      memory_order_relaxed) + by, memory_order_relaxed);
}

/* lane_pace.c: waits until --max-bandwidth and the path allow a frame; spend:
 * it goes.  leave_end returns unused leave to the regulator, take_arrivals
 * passes the ACK in l->mail to it.  A receiver's impossible numbers are limited
 * to the bytes sent. */
int pt_lane_wait_pace(struct pt_lane *l, __u32 frame_sz);
void pt_lane_pace_spend(struct pt_lane *l, __u32 frame_sz);
void pt_lane_leave_end(struct pt_lane *l);
void pt_lane_take_arrivals(struct pt_lane *l);
__u32 pt_lane_batch_sz(const struct pt_lane *l);	/* the most bytes of one
							 * kick */

/* lane_copy.c: open, once slot_cnt is known.  ahead: the word's pages are sent
 * next.  send_data: page i of the word, not zero, as data, as a copy, or later;
 * page_idx is its index.  left: a frame was closed, or staged pages were dropped.
 * refused: of the mail's. */
int pt_lane_copies_open(struct pt_lane *l);
void pt_lane_copies_ahead(const struct pt_lane *l,
			  const struct pt_page_word *w);
void pt_lane_copies_left(struct pt_lane *l);
int pt_lane_refused(struct pt_lane *l);
int pt_lane_send_data(struct pt_lane *l, const struct pt_page_word *w,
		      unsigned i, __u64 page_idx);

/* lane_delta.c: open, once slot_cnt is known.  settle, before a sweep.
 * send_changed: page i of the word, not zero, as data or as a delta; was: the digest
 * as it was sent last.  may_refuse: the receiver may refuse the page as a delta;
 * is_newer: it was sent again since that version. */
int pt_lane_deltas_open(struct pt_lane *l);
void pt_lane_deltas_settle(struct pt_lane *l);
int pt_lane_send_changed(struct pt_lane *l, const struct pt_page_word *w,
			 unsigned i, __u64 page_idx, __u64 was);
bool pt_lane_may_refuse(const struct pt_lane *l, __u64 page_idx,
			__u32 version_low, bool *is_newer);

/* lane_probe.c: finds the receiver's queue and the largest frame, and agrees on
 * them.  -EHOSTUNREACH: no probe arrived.  A lane that has sent already gives
 * up only after its deadline of progress. */
int pt_lane_probe(struct pt_lane *l);

#endif
