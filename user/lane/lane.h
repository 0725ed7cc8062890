/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room lane: one stream of frames to one queue of the receiver.
 *
 *   knows         filling frames, frames in flight, loss, probing, pacing, congestion,
 *                 equal and changed pages
 *   may use       base trim seal wire net xdp xsk channel memory source
 *   must not know the other lanes except by shared counters, how a transfer
 *                 begins and ends
 */
/* lane: its share of the regions of a transfer, on one TX queue.
 *
 *     probe --> (go) --> sweep, sweep, ... --> clean
 *       ^                  |                     |
 *       +---- reprobe -----+---------------------+
 *
 * A sweep visits each dirty page of the lane once, in one generation.  Missing
 * frames make their pages dirty again, for a later sweep.  The first sweep also
 * leaves a page dirty that equals one in flight, to send it as a copy later.
 * The lane is clean when nothing is dirty and nothing unacknowledged.
 *
 * If the memory changes, control marks more pages dirty once all lanes are
 * clean, and begins a round by pt_inbox_round: the lane is clean again when its
 * count round_done has that number, too.
 *
 * A lane has no thread of its own: a worker (worker.h) steps it, and does not sleep in
 * it, so that one worker can serve several lanes of a queue, of one transfer or of
 * several.  The lane's position and its present wait are fields (lane_internal.h):
 *
 *     phase     the first search, waits for go, between sweeps, in a sweep
 *     search    of the path: source port, round, probe, answers, agreement
 *     cursor    of a sweep: region, scan batch, page, block
 *     closing   of a frame: credit, limit, path, buffer
 *
 * Threads: the worker's; control posts to the inbox and reads the counters.
 */
#ifndef LANE_LANE_H
#define LANE_LANE_H

#include <stdatomic.h>

#include "base/stages.h"
#include "channel/conn.h"
#include "lane/inbox.h"
#include "lane/pacer.h"
#include "lane/regulator.h"
#include "memory/digests.h"
#include "memory/dirty.h"
#include "seal/seal.h"
#include "source/source.h"
#include "trim/adaptive.h"
#include "trim/trim.h"
#include "xsk/xsk.h"

/* pt_send_job: the data that all lanes of a transfer share, set before they
 * start. */
struct pt_send_job {
	struct pt_source *source;
	const struct pt_layout *layout;
	struct pt_dirty *dirty;	/* before go: the pages to be sent */
	struct pt_digests *digests;	/* of the pages as last sent */
	__u64 digest_key;
	enum pt_trim trim;
	bool observe;		/* the adaptive scan and the choice of the
				 * compression only count */
	bool pad;		/* every page whole, every frame full */
	__u64 delta_cache_sz;	/* bytes for all lanes, to remember pages of a memory
				 * that changes: these may go as deltas; 0: none */
	bool copies;		/* a page that equals another may go as a copy */
	bool unreadable;	/* the receiver takes pages that cannot be read */
	__u8 compressions;	/* 1 << enum pt_compression of those that frames
				 * may have; not with pad */
	bool compress_auto;	/* the lane chooses one of them, or none; else
				 * there is one at most */
	int compress_level;
	bool arrivals;		/* PT_CAP_ARRIVALS: ACKs report placed frames */
	struct pt_conn *conn;
	__u64 session_id;
	__u32 desc_sz;		/* bytes of a frame per charged descriptor */
	__u32 frame_sz_max;	/* the limit of both ends' devices and
				 * sockets */
	__u64 progress_ns;	/* the lane fails if frames are in flight and
				 * none is accepted for so long, or if
				 * LANE_READY does not come */
	_Atomic __u64 waited_ns;	/* the receiver's last WORKING for
					 * storage; written by control */
	struct pt_pacer *pacer;	/* for all lanes together; NULL: never a
				 * limit */
	struct pt_regulator *regulator;	/* for all lanes together; NULL: none,
					 * as without arrivals */
	int wake_fd;		/* eventfd: a lane's state changed */
};

enum pt_lane_state {
	PT_LANE_PROBING,
	PT_LANE_READY,		/* waits for go */
	PT_LANE_UNREACHED,	/* no probe arrived; the lane has ended */
	PT_LANE_SENDING,
	PT_LANE_CLEAN,
	PT_LANE_FAILED,		/* the lane has ended; see pt_lane_error */
};

/* pt_lane_counts: written by the lane, read by any thread. */
struct pt_lane_counts {
	_Atomic __u64 frames;		/* data frames sent: sequence numbers */
	_Atomic __u64 wire_bytes;	/* Ethernet bytes of them */
	_Atomic __u64 block_bytes;	/* bytes of blocks of them, as before
					 * they were compressed */
	struct {		/* of frames, by the method of their blocks; with
				 * observe: that they would have had */
		_Atomic __u64 frames;
		_Atomic __u64 raw;	/* bytes of their blocks, before ... */
		_Atomic __u64 sz;	/* ... and after they were compressed */
	} methods[PT_COMPRESSION_CNT];
	_Atomic __u64 compress_switches;	/* of the method */
	_Atomic __u64 pages;		/* nonzero pages sent, with those sent
					 * again */
	_Atomic __u64 copies;		/* pages of these that went as copies */
	_Atomic __u64 deltas;		/* pages of these that went as deltas */
	_Atomic __u64 delta_saved;	/* bytes of blocks that did not go
					 * therefore */
	_Atomic __u64 delta_cache_sz;	/* bytes that remember pages */
	_Atomic __u64 put_off;		/* pages left for a later sweep, to go
					 * as copies */
	_Atomic __u64 zero_pages;	/* those without data */
	_Atomic __u64 unreadable;	/* pages of these that could not be
					 * read */
	_Atomic __u64 frames_lost;	/* reported missing */
	_Atomic __u64 probes;
	_Atomic __u64 credit_waits;	/* times that it slept for credit */
	_Atomic __u64 path_waits;	/* times that it slept for the path */
	_Atomic __u32 dirty_pages;	/* pages left to send, at most 2^32 -
					 * 1 */
	_Atomic __u32 generation;
	_Atomic __u32 round_done;	/* the last that the lane has sent */
	_Atomic __u32 frame_sz;		/* agreed */
	_Atomic __u32 queue;		/* of the receiver */
	struct {
#define X(symbol, name, text) _Atomic __u64 symbol;
		PT_ADAPTIVE_COUNTS(X)
#undef X
	} adaptive;			/* struct pt_adaptive_counts */
};

struct pt_lane;
struct pt_worker;

struct pt_lane_cfg {
	const struct pt_send_job *job;
	struct pt_worker *worker;	/* the caller's, of this xsk; outlives the
					 * lane */
	struct pt_xsk *xsk;	/* the caller's; outlives the lane */
	__u16 lane_idx;
	__u16 tx_queue;
	struct pt_link link;
	struct pt_seal *seal;	/* stays the caller's; NULL: not sealed */
	struct pt_stage_clock *clock;	/* of PT_SEND_STAGES, the caller's;
					 * NULL: not profiled */
	__u64 seq_max;		/* the last number of a data frame, after which
				 * the lane fails; 0: as the wire has them */
	__u64 probe_max;	/* of probes, likewise */
	__u32 generation_max;	/* of sweeps, likewise */
};

/* pt_lane_start: -ENOMEM; -EOPNOTSUPP: this build lacks the method of
 * compression.  A lane whose numbers are used up fails with
 * -EOVERFLOW; nothing is sent under a number twice. */
int pt_lane_start(struct pt_lane **out, const struct pt_lane_cfg *cfg,
		  struct pt_error *err);

/* pt_lane_stop ends the lane in any state and frees it. */
void pt_lane_stop(struct pt_lane *l);

bool pt_lane_has_ended(const struct pt_lane *l);

struct pt_inbox *pt_lane_inbox(struct pt_lane *l);
enum pt_lane_state pt_lane_state(const struct pt_lane *l);
const struct pt_lane_counts *pt_lane_counts(const struct pt_lane *l);

/* pt_lane_error returns -errno and *err of a FAILED lane. */
int pt_lane_error(const struct pt_lane *l, struct pt_error *err);

#endif
