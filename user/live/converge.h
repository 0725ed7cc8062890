/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* converge: decides after each round whether the guest can be stopped now.
 *
 *     expected downtime =   bytes of the dirty pages / rate of the path
 *                         + time to look for the last written pages
 *                         + pages to compare at the stop * time of one page
 *
 * Where only the comparison is too long, and time makes it shorter, or only hot
 * pages are left meanwhile, the next look is PT_PAUSE_NS later: rounds one after
 * another would send the same few pages again and again, and take CPU time from
 * the guest.
 *
 * A stop that fits is put off as long as each further round shortens it by a
 * quarter and it is above 10 ms, PT_SHORTER_ROUNDS times at most: such rounds
 * are short.  Hot pages, which are left for the stop, no round makes fewer.
 *
 * Where two rounds in a row do not make the stop shorter by a quarter, or after the
 * last round, the guest is throttled as QEMU does it: by PT_THROTTLE_FIRST percent,
 * then PT_THROTTLE_STEP more each time, up to PT_THROTTLE_LAST.  The throttle ends
 * before the stop, so pages that are written in PT_LIFT_NS without it count, too.
 *
 * With a deadline the last round is the one after which another round, and the
 * expected downtime, would not end in time.
 *
 * The bytes of a dirty page and the rate are those of the rounds so far: trimmed
 * pages need fewer bytes than they have.  A round that sent little is no sample
 * of the rate.  Pure: no clock, no thread, no memory.
 */
#ifndef LIVE_CONVERGE_H
#define LIVE_CONVERGE_H

#include <stdbool.h>
#include <linux/types.h>

#define PT_DOWNTIME_DEFAULT_MS	300
#define PT_DOWNTIME_MAX_MS	60000	/* that may be set */
#define PT_ROUNDS_DEFAULT	30
#define PT_SHORTER_ROUNDS	6
#define PT_PAUSE_NS		250000000ULL
#define PT_THROTTLE_FIRST	20
#define PT_THROTTLE_STEP	10
#define PT_THROTTLE_LAST	99
#define PT_STUCK_ROUNDS		2
#define PT_LIFT_NS		50000000ULL	/* until the guest is stopped */

/* pt_no_converge: the action after rounds that did not converge. */
enum pt_no_converge {
	PT_NO_CONVERGE_CANCEL,	/* the transfer fails, the guest runs on */
	PT_NO_CONVERGE_STOP,	/* the guest is stopped for longer */
	PT_NO_CONVERGE_THROTTLE,	/* it is slowed down step by step, already
				 * in the rounds before; then as CANCEL */
};

struct pt_converge_cfg {
	__u64 downtime_ns;		/* the longest that is allowed; 0:
					 * PT_DOWNTIME_DEFAULT_MS */
	__u32 rounds_max;		/* with a deadline it does not count; 0:
					 * PT_ROUNDS_DEFAULT */
	__u64 deadline_ns;		/* since the start of the move, for the
					 * caller; 0: none */
	enum pt_no_converge otherwise;
};

/* pt_round: one round.  Rounds count from 1. */
struct pt_round {
	__u32 idx;
	__u64 pages;		/* that were sent, zero ones too */
	__u64 data_pages;	/* of these, those with data */
	__u64 delta_pages;	/* of these, those that went as deltas */
	__u64 delta_saved;	/* bytes of blocks that did not go therefore */
	__u64 wire_bytes;	/* of their frames */
	__u64 took_ns;		/* until all was placed, without pauses */
	__u64 dirty_pages;	/* that are to be sent yet, of which: */
	__u64 hot_pages;	/* not in the next round, but at the stop, see
				 * hot.h */
	__u64 cooled_pages;	/* not written in this round, but left for last
				 * before */
	__u64 pause_ns;		/* in it, and before the search for them */
	__u64 look_ns;		/* that search */
	__u64 dirty_per_s;	/* pages written per second of this round */
	__u32 throttle;		/* percent of its CPU time that the guest is to
				 * lose from now on; 0: none */
	__u64 bytes_per_s;	/* the path's rate that is assumed; 0: unknown */
	__u64 downtime_ns;	/* that is expected if the guest stops now */
	bool is_converging;	/* that fits, or is shorter than a round before */
	bool is_judged;		/* these are known, of this round or the last */
};

/* pt_converge_fill sets the limits that are 0 to their defaults. */
void pt_converge_fill(struct pt_converge_cfg *cfg);

/* pt_converge: zero is the start; the caller reads the fields. */
struct pt_converge {
	__u64 bytes_per_s;	/* of the last round that is a sample; 0: none */
	__u64 data_pages;	/* of all rounds */
	__u64 wire_bytes;
	__u32 put_off_cnt;	/* rounds after the first that fitted */
	__u64 downtime_ns;	/* expected after the last round; 0: none */
	__u32 throttle;		/* percent; 0: none */
	__u32 stuck_cnt;	/* rounds in a row that made it no shorter */
	__u64 free_per_s;	/* pages written per second, not throttled */
};

/* pt_stop_costs: known costs of a stop, 0 where none was measured yet. */
struct pt_stop_costs {
	__u64 look_ns;		/* to look for the last written pages */
	__u64 suspects;		/* pages to compare by content */
	__u64 suspect_ns;	/* of one of them */
	__u64 left_ns;		/* until the deadline; 1: it has passed; 0: there
				 * is none */
	bool is_settled;	/* false: suspects become fewer with time, so a
				 * round that does not fit is not the last */
};

enum pt_converge_do {
	PT_CONVERGE_AGAIN,	/* another round */
	PT_CONVERGE_PAUSE,	/* another round, and a pause before its look */
	PT_CONVERGE_STOP,	/* the guest is stopped now */
	PT_CONVERGE_FAIL,	/* -ETIME: it does not converge */
};

/* pt_converge_round completes r, of which the last five fields are not set, and
 * decides. */
enum pt_converge_do pt_converge_round(struct pt_converge *c,
				      const struct pt_converge_cfg *cfg,
				      const struct pt_stop_costs *costs,
				      struct pt_round *r);

#endif
