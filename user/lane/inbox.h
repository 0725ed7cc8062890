/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* inbox: the control thread's messages for a lane: acknowledgements, answers to
 * probes, orders.
 *
 * Shape: the newest values of growing numbers (ACK), and bounded lists of
 * events that must not be lost (missing ranges, probes seen).  Threads: control
 * posts, the lane takes.
 */
#ifndef LANE_INBOX_H
#define LANE_INBOX_H

#include <pthread.h>
#include <stdbool.h>

#include "channel/messages.h"
#include "wire/link.h"

#define PT_INBOX_RANGES		8192	/* as many as frames in flight, every
					 * second of which can be a range */
#define PT_INBOX_PROBES		128
#define PT_INBOX_WANTED	1024
#define PT_INBOX_REFUSED	65536	/* as many as records in flight */

struct pt_inbox;

/* pt_bell: wakes a thread that takes the mail of several inboxes. */
struct pt_bell {
	pthread_mutex_t lock;
	pthread_cond_t rung;
	bool has_rung;		/* since the last wait */
};

void pt_bell_init(struct pt_bell *b);
void pt_bell_destroy(struct pt_bell *b);
void pt_bell_ring(struct pt_bell *b);

/* pt_bell_wait waits until it rings, or has rung since the wait before, until until_ns
 * of pt_clock_ns at most. */
void pt_bell_wait(struct pt_bell *b, __u64 until_ns);

/* pt_mail: all messages since the last take. */
struct pt_mail {
	bool has_ack;
	__u64 cum_ack;
	__u64 freed_desc;
	__u32 window;
	__u64 placed_upto;	/* from a peer with PT_CAP_ARRIVALS */
	__u64 arrived_sz;
	__u64 arrived_ns;
	__u64 top;
	__u64 top_ns;
	__u32 missing_cnt;
	struct pt_seq_range missing[PT_INBOX_RANGES];
	__u32 probe_cnt;	/* more are dropped: the lane probes again */
	struct pt_msg_probe_seen probes[PT_INBOX_PROBES];
	__u32 refused_cnt;
	__u64 refused[PT_INBOX_REFUSED];	/* as REFUSED has them; not
						 * touched before one comes */
	__u32 wanted_cnt;	/* more are dropped: the receiver asks again */
	__u64 wanted[PT_INBOX_WANTED];	/* page indices, to go first */
	bool is_ready;		/* LANE_READY, with window */
	bool reprobe;
	bool has_link;
	struct pt_link link;
	bool go;		/* lanes are divided: stripe of stripe_cnt */
	__u16 stripe;
	__u16 stripe_cnt;
	__u32 round;		/* the last that began; 0 before */
	bool fills;		/* each page goes whole, and none twice if it came */
	bool stop;
};

/* -ENOMEM */
int pt_inbox_create(struct pt_inbox **out);
void pt_inbox_destroy(struct pt_inbox *in);

/* pt_inbox_tell has the bell rung at each post from now on; before others post. */
void pt_inbox_tell(struct pt_inbox *in, struct pt_bell *bell);

/* The control thread's; it waits for no lane.  ack, refused: -ENOBUFS: the lane has
 * not taken what was told before, and that was more than can be in flight. */
int pt_inbox_ack(struct pt_inbox *in, const struct pt_msg_ack *ack);
int pt_inbox_refused(struct pt_inbox *in, const struct pt_msg_refused *refused);
void pt_inbox_probe(struct pt_inbox *in, const struct pt_msg_probe_seen *seen);
void pt_inbox_ready(struct pt_inbox *in, __u32 window);
void pt_inbox_reprobe(struct pt_inbox *in);
void pt_inbox_link(struct pt_inbox *in, const struct pt_link *link);
void pt_inbox_go(struct pt_inbox *in, __u16 stripe, __u16 stripe_cnt);
void pt_inbox_round(struct pt_inbox *in, __u32 round);
void pt_inbox_stop(struct pt_inbox *in);

/* pt_inbox_fill: the receiver's copy changes by itself from now on, so that no page
 * refers to one that is there; before the round in which the rest goes.
 * pt_inbox_want: the page goes before all others, if it is still to be sent. */
void pt_inbox_fill(struct pt_inbox *in);
void pt_inbox_want(struct pt_inbox *in, __u64 page_idx);

/* pt_inbox_peek: there may be mail; no lock. */
bool pt_inbox_peek(const struct pt_inbox *in);

/* pt_inbox_take moves the mail that is there to mail.  False: there is none, mail is as
 * it was.  One thread takes. */
bool pt_inbox_take(struct pt_inbox *in, struct pt_mail *mail);

#endif
