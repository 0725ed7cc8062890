/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* congestion: how fast a transfer may send, and how much of it may be on its way,
 * from when its frames arrive and which are lost.
 *
 *     START --queue or loss--> DELAY <--queue gone, or ours alone--> LOSS
 *
 * START doubles the window each round trip.  DELAY lets it grow until frames wait
 * PT_CC_QUEUE_NS in queues of the path, and empties those now and then: the path
 * is full, and nobody waits.  Where the queue stays although we left it, or is too
 * short to be seen before it overflows, others fill it, or it is full: LOSS goes
 * by loss alone, as CUBIC does (RFC 9438), and so gets what one such flow gets.
 * Loss that comes while no queue stands is the path's own and changes nothing,
 * unless it is much.
 *
 * Queueing delay is the one-way delay above the least seen for PT_CC_BASE_NS, so
 * that neither the clocks' offset nor the way of the ACKs counts.  A round in
 * which no frame had to wait for the window says nothing of how much larger it may
 * be.
 *
 * Pure: no clock, no I/O; events in, window and pacing rate out.
 * Threads: one at a time.
 */
#ifndef LANE_CONGESTION_H
#define LANE_CONGESTION_H

#include <stdbool.h>
#include <linux/types.h>

#define PT_CC_QUEUE_NS	5000000ULL	/* that our frames may wait in queues */
#define PT_CC_ROUND_NS	2000000ULL	/* the shortest round: some ACKs */
#define PT_CC_BASE_NS	30000000000ULL	/* a path's delay is known for so long */
#define PT_CC_START_SZ	(1u << 20)	/* the first window, if nothing is known */
#define PT_CC_WEIGHT_ONE 16		/* the weight of an ordinary transfer */

#define PT_CC_BASES	3
#define PT_CC_RATES	4
#define PT_CC_PAST	128	/* rounds: longer ago than losses are told */

enum pt_cc_mode {
	PT_CC_START,
	PT_CC_DELAY,
	PT_CC_LOSS,
};

/* pt_cc_least: the least value of the last PT_CC_BASES spans of time. */
struct pt_cc_least {
	__s64 values[PT_CC_BASES];
	__u64 since_ns;		/* the newest span began */
};

/* pt_cc_round: what came in one round: the ACK of a frame that was sent in it ends
 * it, and no sooner than PT_CC_ROUND_NS. */
struct pt_cc_round {
	__u64 start_ns;
	__s64 queue_ns;		/* the least of it; */
	__s64 queue_sum_ns;	/* of queue_cnt frames: */
	__u32 queue_cnt;	/* so what it was on average */
	__u64 arrived_sz;
	__u64 lost_sz;		/* not paid for yet, of it ... */
	__u64 lost_full_sz;	/* ... while a queue stood */
	bool is_limited;
	__u64 in_flight_max;
	__u64 first_sent_ns;	/* of the frame whose ACK ended the one before, */
	__u64 first_arrived_ns;	/* which came then */
};

/* pt_cc_past: what a round showed that ended with a frame sent at sent_ns. */
struct pt_cc_past {
	__u64 sent_ns;
	__s64 queue_ns;
	__s64 mean_ns;
};

/* pt_cc_part: bytes that arrived, and were lost, lately. */
struct pt_cc_part {
	double arrived;
	double lost;
};

struct pt_congestion {
	/* Out. */
	__u64 window;		/* bytes in flight at most */
	__u64 bytes_per_s;	/* to pace at */

	enum pt_cc_mode mode;
	__u32 weight;		/* PT_CC_WEIGHT_ONE: as one flow */
	__u32 frame_sz;		/* of the largest frame */
	double wanted;		/* the window, while none is left for a drain */
	struct pt_cc_round round;
	struct pt_cc_least delay;	/* receiver's clock less ours */
	struct pt_cc_least rtt;
	__u64 srtt_ns;
	double rates[PT_CC_RATES];	/* delivered, bytes a ns, of the last
					 * rounds that used the window up */
	__u32 rate_cnt;
	struct pt_cc_least rate_high;	/* less the highest, bytes a s */
	__s64 queue_ns;		/* of the newest frame */
	__s64 overtaken_ns;	/* frames come so much later than newer ones,
				 * forgotten slowly */
	__s64 queue_max_ns;	/* of rounds, forgotten slowly */
	struct pt_cc_past past[PT_CC_PAST];
	__u32 past_cnt;		/* rounds */
	struct pt_cc_part loss;
	struct pt_cc_part loss_own;	/* while there was no queue */
	double loss_stays;	/* the part that smaller windows did not end, */
	__u64 stays_ns;		/* as was seen then */
	double much_window;	/* the window, and the part lost, when cuts */
	double much_part;	/* began; 0: they did not */
	__u64 ended_sz;		/* arrived since with much less loss */
	double step;		/* bytes to grow by in the next round */
	__u32 hold;		/* rounds until what was done shows */
	__u32 over_cnt;		/* times that the queue stayed although we left */
	double before;		/* the window before the first of them, */
	double rate_before;	/* and the rate */
	__u64 lost_ns;		/* the last loss that counted */
	__u64 cut_ns;		/* what was sent before paid for its losses */
	__u64 empty_ns;		/* the queue was seen empty */
	__u64 drained_ns;	/* the last drain began */
	__u64 low_ns;		/* when what is on the way had become little */
	__s64 low_queue_ns;	/* the least queue since */
	bool is_draining;

	double peak;		/* LOSS: the window at the last loss */
	double peak_before;
	double beta;		/* of which that much was left */
	__u64 epoch_ns;		/* the last loss was noticed */
	double friendly;	/* window that a flow of RFC 5681 would have */
	bool is_tested;		/* draining to see whether we are alone: */
	__s64 tested_queue_ns;	/* in a queue that was so long */
	__u64 tested_ns;	/* the last such drain */
	__u64 test_ns;		/* between two of them */
};

/* pt_congestion_ack: what one ACK tells. */
struct pt_congestion_ack {
	__u64 now_ns;		/* our clock, when it came */
	__u64 sent_ns;		/* our clock, of the newest frame that arrived; 0:
				 * it is no newer than at the ACK before */
	__u64 arrived_ns;	/* of the same, by the receiver's clock */
	__u64 arrived_sz;	/* bytes that arrived since the ACK before */
	__s64 overtaken_ns;	/* the last frame came so long after the newest
				 * one, by the receiver's clock */
	__u64 lost_sz;		/* bytes found lost since, */
	__u64 lost_ns;		/* the newest of which was sent then */
	__u64 in_flight;	/* bytes that were, before it */
	bool is_limited;	/* since the ACK before, frames had to wait for
				 * window or pace */
};

/* pt_congestion_init: rtt_ns of a probe; rate of probes, bytes a second; 0 of both:
 * not known. */
void pt_congestion_init(struct pt_congestion *c, __u32 frame_sz, __u32 weight,
			__u64 rtt_ns, __u64 bytes_per_s);

void pt_congestion_take(struct pt_congestion *c,
			const struct pt_congestion_ack *ack);

/* What is known of the path; 0: nothing. */
__u64 pt_congestion_rtt_ns(const struct pt_congestion *c);

#endif
