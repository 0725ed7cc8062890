/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lane_internal: the internals that lane*.c share. */
#ifndef LANE_LANE_INTERNAL_H
#define LANE_LANE_INTERNAL_H

#include <errno.h>

#include "lane/batch.h"
#include "lane/chooser.h"
#include "lane/copies.h"
#include "lane/deltas.h"
#include "lane/inflight.h"
#include "lane/lane.h"
#include "lane/worker.h"
#include "net/plpmtud.h"
#include "source/scan_batch.h"
#include "wire/builder.h"

#define PT_LANE_FRAMES		8192		/* the most unacknowledged
						 * frames */
#define PT_LANE_EXTENTS		(1u << 16)
#define PT_LANE_LARGE_LOST	128	/* large frames lost, and none came: */
					/* the path takes smaller ones only */
#define PT_LANE_SYNC_NS		1000000ULL	/* without credit, then SYNC */

_Static_assert(PT_INBOX_RANGES >= PT_LANE_FRAMES, "all may be missing");
_Static_assert(PT_INBOX_REFUSED >= PT_LANE_EXTENTS, "all may be refused");

/* pt_lane_wait: the event before a lane's next step. */
enum pt_lane_wait {
	PT_LANE_NO_WAIT,	/* it goes on at once */
	PT_LANE_FOR_MAIL,	/* for its inbox, or until wait_until_ns */
	PT_LANE_FOR_DEVICE,	/* for the device to take the lane's frames, likewise */
	PT_LANE_FOR_BUFFER,	/* and for a buffer, too */
	PT_LANE_FOR_TURN,	/* until the worker's other lanes had theirs */
};

/* PT_LANE_WAITS is returned in place of 0: the function has not finished, and goes on
 * where it stopped when it is called again, after the wait in l->wait. */
#define PT_LANE_WAITS	1

/* pt_staged: the page that the cursor is at, and how it goes.  It is staged block by
 * block: the frame may be full in between. */
enum pt_staged_kind {
	PT_STAGED_NONE,		/* it does not go now */
	PT_STAGED_DATA,		/* the blocks of mask */
	PT_STAGED_ZEROES,	/* page_cnt pages */
	PT_STAGED_UNREADABLE,
	PT_STAGED_COPY,
	PT_STAGED_DELTA,	/* the blocks of changed; data if these do not fit */
};

struct pt_staged {
	enum pt_staged_kind kind;
	__u64 gfn;
	__u64 page_cnt;
	__u64 mask;
	const __u8 *bytes;
	unsigned block;		/* data: the next that is staged */
	bool is_full;		/* data: the frame is, and goes first */
	__u64 changed;
	__u32 version;		/* of the base, or of the original */
	__u64 original_gfn;
	bool is_original;	/* it is noted as one, once it is staged */
};

/* pt_cursor: where a sweep is. */
struct pt_cursor {
	enum {
		PT_CURSOR_REGION,	/* looks for the next dirty region */
		PT_CURSOR_VIEW,		/* views it */
		PT_CURSOR_HOLE,		/* sends it, a hole, as one run */
		PT_CURSOR_BATCH,	/* scans its next scan batch */
		PT_CURSOR_PAGE,		/* chooses how the next page goes */
		PT_CURSOR_BLOCK,	/* stages that page */
		PT_CURSOR_END,		/* sends what is staged */
	} at;
	__u64 region_idx;		/* it, or the next to be looked at */
	__u64 start_region;		/* where the sweep began, and ends once
					 * it ... */
	bool has_wrapped;		/* ... has gone on with the first one */
	__u32 wanted_cnt;		/* not 0: the sweep is of so many pages of
					 * the lane's wanted alone, ... */
	__u32 wanted_next;		/* ... and this is the next */
	__u64 bits[PT_REGION_WORDS];	/* its dirty pages, but for the batches
					 * before this */
	__u32 cnt;			/* its dirty pages */
	__u64 batch_idx;		/* index of the batch's first page */
	__u64 left;			/* bit: page of the batch, not staged yet */
	struct pt_scan_batch batch;
	struct pt_staged page;
};

/* pt_closing: how far the staged frame is on its way to the device. */
struct pt_closing {
	enum {
		PT_CLOSING_PACK,	/* compresses it, and finds its cost */
		PT_CLOSING_CREDIT,	/* asks for credit */
		PT_CLOSING_DRAIN,	/* has none: the device takes the others */
		PT_CLOSING_GRANT,	/* waits for credit */
		PT_CLOSING_LIMIT,	/* waits for --max-bandwidth */
		PT_CLOSING_PATH,	/* waits for the path */
		PT_CLOSING_BUFFER,	/* waits for a buffer of the device */
	} at;
	struct pt_pack take;
	__u32 frame_sz;
	__u32 desc_cnt;
	__u32 credit;
	__u64 pack_ns;
	bool has_napped;		/* in this state */
	__u64 freed;			/* GRANT: descriptors, before the nap */
	__u64 full_ns;			/* PATH: since when it is full; 0: not */
};

/* pt_search: how far the search for queue and frame size is. */
struct pt_search {
	enum {
		PT_SEARCH_NONE,
		PT_SEARCH_PORT,		/* begins, with a source port */
		PT_SEARCH_ROUND,	/* begins a round */
		PT_SEARCH_SEND,		/* sends its probes */
		PT_SEARCH_DEVICE,	/* the device takes them */
		PT_SEARCH_ANSWERS,	/* waits for answers */
		PT_SEARCH_ASK,		/* reports the result to the receiver */
		PT_SEARCH_GRANT,	/* waits for its window */
	} at;
	unsigned stage;			/* of the clock, before */
	unsigned port_cnt;		/* source ports tried */
	unsigned round_cnt;		/* rounds of this port */
	struct pt_plpmtud mtu;
	__u32 sizes[PT_PLPMTUD_SIZES];	/* of the round */
	__u32 size_cnt;
	__u64 probe_first;		/* of all rounds of the port: a late answer
					 * counts, too */
	unsigned probe_cnt;		/* of the round, ... */
	unsigned sent_cnt;		/* ... of which so many were sent */
	bool is_complete;		/* the largest arrived, so the wait ends */
	__u64 until_ns;			/* of the present wait; 0: none */
	__u64 asked_ns;
};

/* pt_turn: the present step.  It ends with its batch of frames, or in time, so that
 * lanes with work share the worker by batches. */
struct pt_turn {
	bool is_over;		/* its batch was sent */
	__u64 until_ns;
	unsigned stage;		/* of the clock, when it ended */
};

#define PT_TURN_NS	1000000ULL	/* of scans that fill no batch */

/* pt_noted: a page that is noted in copies, and of which a part is staged. */
struct pt_noted {
	__u64 content;
	__u64 page_idx;
};

struct pt_lane {
	struct pt_lane_cfg cfg;
	struct pt_lane *next;		/* of the worker's lanes */
	bool is_left;			/* the worker is done with it */
	atomic_int *at_source;		/* the worker's, enum pt_worker_source */
	struct pt_turn turn;
	struct pt_inbox *inbox;
	enum {
		PT_PHASE_START,		/* the first search */
		PT_PHASE_GO,		/* waits for go */
		PT_PHASE_BETWEEN,	/* between sweeps */
		PT_PHASE_SWEEP,
	} phase;
	enum pt_lane_wait wait;
	__u64 wait_from_ns;
	__u64 wait_until_ns;
	struct pt_search search;
	struct pt_cursor cursor;
	struct pt_closing closing;
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
	struct pt_adaptive adaptive;
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
	bool fills;			/* see pt_inbox_fill */
	__u64 start_region;		/* of the next sweep */
	__u32 wanted_cnt;
	__u64 wanted[PT_INBOX_WANTED];	/* page indices, dirty when they came */
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
	__u64 tx_mark;			/* of the device, behind the lane's last
					 * frame */
	__u16 stripe;			/* regions stripe, stripe + stripe_cnt ... */
	__u16 stripe_cnt;
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
	atomic_bool has_ended;
	struct pt_mail mail;		/* the mail taken last */
};

/* All functions return 0 or -errno with l->error_text filled; -ECANCELED: the
 * lane must stop; those that say so also PT_LANE_WAITS. */

/* lane.c: step does all that can be done now, until the lane waits or ends, or its turn
 * is over; it never sleeps, but where the source is read.  PT_LANE_WAITS, or -errno: it
 * has ended.
 * begin and end: by the worker's thread, before the first step and after the last. */
int pt_lane_step(struct pt_lane *l);
void pt_lane_begin(struct pt_lane *l);
void pt_lane_end(struct pt_lane *l, int code);

/* for_mail, for_device, for_buffer: PT_LANE_WAITS, for so long at most.  for_turn kicks,
 * and returns that, too.  take_mail acts on the mail that is there. */
int pt_lane_for_mail(struct pt_lane *l, __u64 ns);
int pt_lane_for_device(struct pt_lane *l, __u64 ns);
int pt_lane_for_buffer(struct pt_lane *l, __u64 ns);
int pt_lane_for_turn(struct pt_lane *l);
int pt_lane_take_mail(struct pt_lane *l);

/* These enclose every read of the source, which may take any time.  left
 * returns ret, or -ECANCELED: another thread owns the socket. */
static inline void pt_lane_source_enter(struct pt_lane *l)
{
	atomic_store_explicit(l->at_source, PT_WORKER_AT_SOURCE,
			      memory_order_release);
}

static inline int pt_lane_source_left(struct pt_lane *l, int ret)
{
	int was = PT_WORKER_AT_SOURCE;

	return atomic_compare_exchange_strong(l->at_source, &was,
					      PT_WORKER_ELSEWHERE)
		? ret : -ECANCELED;
}

/* pt_lane_is_settled: all frames are decided, and the accepted ones are in the
 * sink. */
static inline bool pt_lane_is_settled(const struct pt_lane *l)
{
	return pt_inflight_is_empty(l->inflight) &&
	       l->placed_upto == pt_inflight_next_seq(l->inflight);
}

/* lane_sweep.c: pt_lane_sweep, or PT_LANE_WAITS, sends each page once that was dirty
 * at pt_lane_sweep_begin; pt_lane_show_dirty reports how many there are. */
int pt_lane_sweep_begin(struct pt_lane *l);
int pt_lane_sweep(struct pt_lane *l);
void pt_lane_show_dirty(struct pt_lane *l);

/* lane_wanted.c: take takes the mail's.  begin begins a sweep, which is one of the wanted
 * pages alone if there are some; region then finds the next region of one.
 * interrupts: the sweep is to end here for them; interrupt has it end. */
void pt_lane_wanted_take(struct pt_lane *l);
void pt_lane_wanted_begin(struct pt_lane *l);
int pt_lane_wanted_region(struct pt_lane *l);
bool pt_lane_wanted_interrupts(const struct pt_lane *l);
void pt_lane_wanted_interrupt(struct pt_lane *l);

/* lane_records.c: pt_lane_stage, or PT_LANE_WAITS, stages the cursor's page. */
int pt_lane_stage(struct pt_lane *l);

/* lane_frame.c: pt_lane_close_frame sends the staged frame, or as much of it as fits:
 * then the rest stays staged.  flush closes all frames and kicks; drain kicks until
 * the device took the lane's.  All three: or PT_LANE_WAITS.  submit gives the device a
 * frame of sz bytes. */
int pt_lane_close_frame(struct pt_lane *l);
int pt_lane_flush(struct pt_lane *l);
int pt_lane_drain(struct pt_lane *l);
void pt_lane_submit(struct pt_lane *l, void *frame, __u32 sz);
void pt_lane_builder_reset(struct pt_lane *l);	/* to frame_sz */
int pt_lane_kick(struct pt_lane *l);

/* pt_lane_spent returns -EOVERFLOW: of these numbers max was the last. */
int pt_lane_spent(struct pt_lane *l, const char *what, __u64 max);

/* pt_lane_nudge is called before the lane waits for mail: it kicks a zero-copy driver
 * again for waiting frames, so that none waits longer than PT_XSK_STALE_NS. */
int pt_lane_nudge(struct pt_lane *l, __u64 *timeout_ns);
int pt_lane_sync(struct pt_lane *l);	/* sends SYNC with our last number */
int pt_lane_lost(struct pt_lane *l, const struct pt_seq_range *range);
__u32 pt_lane_small_sz(const struct pt_lane *l);	/* passes everywhere */
__u64 pt_lane_mark_dirty(struct pt_lane *l, __u64 gfn, __u64 page_cnt);

static inline void pt_lane_count(_Atomic __u64 *counter, __u64 by)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter,
			      memory_order_relaxed) + by, memory_order_relaxed);
}

/* lane_compress.c: compressor returns that of the next frame; NULL: none.  count and
 * choose are told of each frame that was sent, choose with the time that compressing it
 * took; it takes the next method. */
int pt_lane_compress_open(struct pt_lane *l);
void pt_lane_compress_close(struct pt_lane *l);
struct pt_compressor *pt_lane_compressor(const struct pt_lane *l);
void pt_lane_compress_count(struct pt_lane *l, const struct pt_pack *take);
void pt_lane_compress_choose(struct pt_lane *l, const struct pt_pack *take,
			     __u32 frame_sz, __u64 pack_ns);

/* lane_pace.c: wait_limit returns 0 once --max-bandwidth allows the frame that is
 * being closed, wait_path once the path does; until then PT_LANE_WAITS.  spend counts
 * the bytes of a frame that is sent.  leave_end returns unused leave to the
 * regulator, take_arrivals passes the ACK in l->mail to it.  A receiver's impossible
 * numbers are limited to the bytes sent. */
int pt_lane_wait_limit(struct pt_lane *l);
int pt_lane_wait_path(struct pt_lane *l);
void pt_lane_pace_spend(struct pt_lane *l, __u32 frame_sz);
void pt_lane_leave_end(struct pt_lane *l);
void pt_lane_take_arrivals(struct pt_lane *l);
__u32 pt_lane_batch_sz(const struct pt_lane *l);	/* the most bytes of one
							 * kick */

/* lane_copy.c: open, once stripe_cnt is known.  ahead: the batch's pages are sent
 * next.  choose_data chooses for page i of the batch, not zero: as data, as a copy, or
 * later; page_idx is its index.  noted: such a page was staged.  left: a frame was
 * closed, or staged pages were dropped.  refused: of the mail's. */
int pt_lane_copies_open(struct pt_lane *l);
void pt_lane_copies_ahead(const struct pt_lane *l,
			  const struct pt_scan_batch *batch);
void pt_lane_copies_left(struct pt_lane *l);
int pt_lane_refused(struct pt_lane *l);
int pt_lane_choose_data(struct pt_lane *l, const struct pt_scan_batch *batch,
			unsigned i, __u64 page_idx);
void pt_lane_copies_noted(struct pt_lane *l, __u64 content, __u64 page_idx);

/* lane_delta.c: open, once stripe_cnt is known.  settle, before a sweep.
 * choose_changed chooses for page i of the batch, not zero: as data or as a delta;
 * was: the digest as it was sent last.  remember: page i was staged.  may_refuse: the
 * receiver may refuse the page as a delta; is_newer: it was sent again since that
 * version. */
int pt_lane_deltas_open(struct pt_lane *l);
void pt_lane_deltas_settle(struct pt_lane *l);
void pt_lane_choose_changed(struct pt_lane *l, const struct pt_scan_batch *batch,
			    unsigned i, __u64 page_idx, __u64 was);
void pt_lane_remember(struct pt_lane *l, const struct pt_scan_batch *batch,
		      unsigned i, __u64 page_idx);
bool pt_lane_may_refuse(const struct pt_lane *l, __u64 page_idx,
			__u32 version_low, bool *is_newer);

/* lane_probe.c: finds the receiver's queue and the largest frame, and agrees on
 * them, once it was begun; or PT_LANE_WAITS.  -EHOSTUNREACH: no probe arrived.  A lane
 * that has sent already gives up only after its deadline of progress. */
void pt_lane_probe_begin(struct pt_lane *l);
int pt_lane_probe(struct pt_lane *l);

#endif
