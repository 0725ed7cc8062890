/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* congestion: the congestion controller, which computes a transfer's pacing
 * rate and window in flight from the arrivals and losses of its frames.
 *
 *     START --queue or loss--> DELAY <--queue gone, or ours alone--> LOSS
 *
 * START doubles the window each round trip.  DELAY grows it until frames wait
 * PT_CC_QUEUE_NS in queues of the path, and empties those from time to time:
 * the path is full, and delay is low.  If the queue stays although we left it,
 * or overflows before it can be seen, others fill it or it is short: LOSS then
 * follows loss alone, as CUBIC does (RFC 9438), and gets the share of one such
 * flow.  Loss without a queue is the path's own and changes nothing, unless
 * there is much of it.
 *
 * Queueing delay is the one-way delay above the minimum of PT_CC_BASE_NS, so
 * neither the clocks' offset nor the ACKs' delay counts.  A round in which no
 * frame had to wait for the window is no evidence that it may grow.
 *
 * Pure: no clock, no I/O; events in, window and pacing rate out.
 * Threads: one at a time.
 */
#ifndef LANE_CONGESTION_H
#define LANE_CONGESTION_H

#include <stdbool.h>
#include <linux/types.h>

#define PT_CC_QUEUE_NS	5000000ULL	/* that our frames may wait in queues,
					 * at most */
#define PT_CC_ROUND_NS	2000000ULL	/* the shortest round: some ACKs */
#define PT_CC_BASE_NS	30000000000ULL	/* how long a path's base delay is
					 * remembered */
#define PT_CC_START_SZ	(1u << 20)	/* the first window, if nothing is known */
#define PT_CC_WEIGHT_ONE 16		/* the weight of an ordinary transfer */

#define PT_CC_BASES	3
#define PT_CC_RATES	4
#define PT_CC_PAST	128	/* rounds; losses are reported within these */

enum pt_cc_mode {
	PT_CC_START,
	PT_CC_DELAY,
	PT_CC_LOSS,
};

/* pt_cc_least: the minimum over the last PT_CC_BASES spans of time. */
struct pt_cc_least {
	__s64 values[PT_CC_BASES];
	__u64 since_ns;		/* start of the newest span */
};

/* pt_cc_round: the arrivals of one round, which the ACK of a frame sent in it
 * ends, but not before PT_CC_ROUND_NS. */
struct pt_cc_round {
	__u64 start_ns;
	__s64 queue_ns;		/* the minimum queueing delay; */
	__s64 queue_sum_ns;	/* the sum over queue_cnt frames: */
	__u32 queue_cnt;	/* for the average */
	__u64 arrived_sz;
	__u64 lost_sz;		/* lost bytes without reaction yet, of which
				 * ... */
	__u64 lost_full_sz;	/* ... these while there was a queue */
	bool is_limited;
	__u64 in_flight_max;
	__u64 first_sent_ns;	/* of the frame whose ACK ended the previous
				 * round, */
	__u64 first_arrived_ns;	/* and its arrival */
};

/* pt_cc_past: the result of a round that ended with a frame sent at sent_ns. */
struct pt_cc_past {
	__u64 sent_ns;
	__s64 queue_ns;
	__s64 mean_ns;
};

/* pt_cc_part: bytes that recently arrived, and were lost. */
struct pt_cc_part {
	double arrived;
	double lost;
};

struct pt_congestion {
	/* Output. */
	__u64 window;		/* the most bytes in flight */
	__u64 bytes_per_s;	/* the pacing rate */

	enum pt_cc_mode mode;
	__u32 weight;		/* PT_CC_WEIGHT_ONE: as one flow */
	__u32 frame_sz;		/* Ethernet bytes of the largest frame */
	double wanted;		/* the window, without the reduction for a
				 * drain */
	struct pt_cc_round round;
	struct pt_cc_least delay;	/* receiver's clock less ours */
	struct pt_cc_least rtt;
	__u64 srtt_ns;
	double rates[PT_CC_RATES];	/* delivery rates in bytes per ns, of
					 * the last rounds that used the window
					 * up */
	__u32 rate_cnt;
	struct pt_cc_least rate_high;	/* the negated maximum, bytes per s */
	__s64 queue_ns;		/* queueing delay of the newest frame */
	__s64 overtaken_ns;	/* how much later than newer frames a frame
				 * comes, decaying slowly */
	__s64 queue_max_ns;	/* maximum of the rounds, decaying slowly */
	struct pt_cc_past past[PT_CC_PAST];
	__u32 past_cnt;		/* rounds */
	struct pt_cc_part loss;
	struct pt_cc_part loss_own;	/* loss without a queue */
	double loss_stays;	/* the loss rate that smaller windows did not
				 * end, */
	__u64 stays_ns;		/* and since when */
	double much_window;	/* the window, and the loss rate, when cuts */
	double much_part;	/* began; 0: no cuts */
	__u64 ended_sz;		/* bytes that arrived since then with much less
				 * loss */
	double step;		/* bytes to grow by in the next round */
	__u32 hold;		/* rounds until the last change shows */
	__u32 over_cnt;		/* times that the queue stayed although we left
				 * it */
	double before;		/* the window before the first such time */
	double rate_before;	/* the rate at that time */
	__u64 lost_ns;		/* time of the last loss that counted */
	__u64 cut_ns;		/* losses of frames sent before this were
				 * reacted to */
	__u64 empty_ns;		/* when the queue was last empty */
	__u64 drained_ns;	/* start of the last drain */
	__u64 low_ns;		/* when little was in flight */
	__s64 low_queue_ns;	/* the minimum queue since then */
	bool is_draining;

	double peak;		/* LOSS: the window at the last loss */
	double peak_before;
	double beta;		/* the part of it that was left */
	__u64 epoch_ns;		/* time of the last loss */
	double friendly;	/* the window of an RFC 5681 flow */
	bool is_tested;		/* draining to test for competitors: */
	__s64 tested_queue_ns;	/* length of the queue before */
	__u64 tested_ns;	/* time of the last such drain */
	__u64 test_ns;		/* interval between two of them */
};

/* pt_congestion_ack: the contents of one ACK. */
struct pt_congestion_ack {
	__u64 now_ns;		/* our clock, at its arrival */
	__u64 sent_ns;		/* our clock, when the newest arrived frame was
				 * sent; 0: no newer frame than in the previous
				 * ACK */
	__u64 arrived_ns;	/* the receiver's clock, at that frame's
				 * arrival */
	__u64 arrived_sz;	/* bytes that arrived since the previous ACK */
	__s64 overtaken_ns;	/* how much later than the newest frame the last
				 * one came, by the receiver's clock */
	__u64 lost_sz;		/* bytes found lost since then, */
	__u64 lost_ns;		/* when the newest of them was sent */
	__u64 in_flight;	/* bytes in flight before it */
	bool is_limited;	/* frames had to wait for window or pace since
				 * the previous ACK */
};

/* pt_congestion_init: rtt_ns of a probe; rate of probes in bytes per second; 0:
 * unknown. */
void pt_congestion_init(struct pt_congestion *c, __u32 frame_sz, __u32 weight,
			__u64 rtt_ns, __u64 bytes_per_s);

void pt_congestion_take(struct pt_congestion *c,
			const struct pt_congestion_ack *ack);

/* Estimates of the path; 0: unknown. */
__u64 pt_congestion_rtt_ns(const struct pt_congestion *c);

#endif
