/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sender_internal: what sender.c (its life), sender_setup.c, sender_lanes.c,
 * sender_message.c, sender_phase.c, sender_report.c and sender_end.c share. */
#ifndef SEND_SENDER_INTERNAL_H
#define SEND_SENDER_INTERNAL_H

#include <pthread.h>

#include "base/due.h"
#include "channel/connect.h"
#include "lane/lane.h"
#include "send/held.h"
#include "send/recheck.h"
#include "send/send_files.h"
#include "send/send_path.h"
#include "send/sender.h"

/* pt_send_setup: within the phase. */
enum pt_send_setup {
	PT_SETUP_OFFER,		/* OFFER is awaited */
	PT_SETUP_OFFERED,	/* it has come */
	PT_SETUP_LINK,		/* the next hop's MAC address is looked for */
	PT_SETUP_SEGMENTS,	/* OPEN was said; so are they */
	PT_SETUP_OPEN,		/* OPENED is awaited */
	PT_SETUP_OPENED,	/* it has come */
};

/* pt_send_ending: after the last phase, see sender_end.c. */
enum pt_send_ending {
	PT_ENDING_NOT,
	PT_ENDING_THREADS,	/* they were told to end */
	PT_ENDING_ASK,		/* the receiver is asked for the outcome */
	PT_ENDING_FINISH,	/* it reads the last message */
	PT_ENDING_LEAVE,	/* threads that only the connection kept */
	PT_ENDING_OVER,
};

/* pt_send_end: how the transfer ends. */
struct pt_send_end {
	enum pt_send_ending state;
	int ret;		/* what step is to return */
	bool is_unknown;	/* whether the receiver has committed */
	__u64 deadline_ns;	/* of the state */
};

/* pt_send_ask: asking for an outcome on other connections, see sender_ask.c. */
struct pt_send_ask {
	__u64 deadline_ns;	/* not again after it */
	__u64 again_ns;		/* 0: it is under way */
	bool has_offer;
};

struct pt_sender {
	struct pt_sender_cfg cfg;	/* with the defaults in place of zeroes */
	struct pt_send_report report;
	struct pt_error error;		/* if result < 0 */
	int result;			/* of step; 1: it goes on */
	bool is_started;
	bool is_joined;			/* over, and no thread is left */
	struct pt_send_end end;
	struct pt_send_ask ask;
	pthread_mutex_t lock;		/* recursive: warn may ask for the status */
	struct pt_conn *conn;
	struct pt_connect *connect;	/* one is being made */
	struct pt_conn *left_conn;	/* shut, for threads that still name it */
	enum pt_send_setup setup;
	__u64 setup_ns;		/* when it went on last */
	__u32 segment_next;	/* SEGMENTs of all below were said */
	struct pt_msg_offer offer;
	struct pt_layout *layout;
	struct pt_dirty *dirty;
	struct pt_digests digests;
	__u64 digest_key;
	struct pt_send_files *files;
	struct pt_send_path path;
	struct pt_send_job job;
	struct pt_pacer pacer;
	struct pt_regulator regulator;
	struct pt_seal *seals[PT_LANES_MAX]; /* by lane; NULL: not sealed */
	struct pt_lane *lanes[PT_LANES_MAX];
	struct pt_stage_clock clocks[PT_LANES_MAX];	/* with profile */
	struct pt_stage_clock control_clock;
	struct pt_stage_clock *clock;	/* it; NULL: not profiled */
	__u32 lane_cnt;
	int poll_fd;		/* epoll: of all below, and more; the caller's */
	int wake_fd;
	int tick_fd;
	int cancel_fd;		/* eventfd; once readable it stays so */
	__u64 stopped_ns;	/* when it was cancelled during commit */
	bool is_told;		/* ABORT was said */
	bool is_warned;		/* the route has moved, and that was told */
	bool is_aborted;	/* the peer said ABORT: it knows */
	struct pt_held held;
	struct pt_recheck *recheck;	/* NULL: not begun, or not needed */
	bool is_rechecked;
	__u64 region_told;	/* DIGESTS were said of all below */
	bool is_asked;		/* VERIFY was said */
	bool is_verified;
	bool is_committed;
	__u64 started_ns;
	__u64 phase_ns;		/* when the phase began */
	struct pt_due due;	/* what the phase waits for of the receiver, ... */
	__u64 moves;		/* ... and how often it came nearer */
	__u64 pinged_ns;
	__u64 watched_ns;	/* when the XDP program was last looked for */
};

/* pt_sender_prepare: all that open does, but for descriptors. */
int pt_sender_prepare(struct pt_sender *s);

/* pt_sender_greet: a step of CONNECT, then SETUP. */
int pt_sender_greet(struct pt_sender *s);

/* pt_sender_set_up: a step of SETUP, up to lanes that probe. */
int pt_sender_set_up(struct pt_sender *s);

static inline enum pt_trim pt_sender_trim(const struct pt_sender *s)
{
	return s->cfg.trim - PT_SEND_TRIM_NONE + PT_TRIM_NONE;
}

/* pt_sender_watch has step called when fd is readable. */
int pt_sender_watch(struct pt_sender *s, int fd);

/* pt_sender_connect goes on to make a connection past its HELLO: 1: it is there; 0: not
 * yet. */
int pt_sender_connect(struct pt_sender *s);

/* pt_sender_expect: what is owed from here on is another message. */
void pt_sender_expect(struct pt_sender *s);

/* pt_sender_owed: the receiver owes what, and has so since the phase began or it
 * last moved.  -ETIMEDOUT: for too long, see due.h.  Called again and again. */
int pt_sender_owed(struct pt_sender *s, const char *what);

/* pt_sender_watch_peer: is it there?  And does it hear us?  At least every 100 ms,
 * once there is a connection. */
int pt_sender_watch_peer(struct pt_sender *s);

bool pt_sender_is_cancelled(const struct pt_sender *s);

/* pt_sender_interrupted: -ECANCELED of one that was told to end in commit. */
int pt_sender_interrupted(struct pt_sender *s);

/* pt_sender_take acts on a message. */
int pt_sender_take(struct pt_sender *s, const struct pt_message *m);

/* pt_sender_advance moves to the next phase when this one is done. */
int pt_sender_advance(struct pt_sender *s);

/* pt_sender_enter begins a phase; returns how long the one before took.  Every
 * change goes through here, the first one too, and it stays a function of its
 * own: it is where a debugger stops a sender in a given phase. */
__u64 pt_sender_enter(struct pt_sender *s, enum pt_send_phase phase)
	__attribute__((noinline));

/* pt_sender_watch_card looks once a second whether the XDP program that zero copy
 * needs is still there.  -ENODEV: it is not, and no more frames will go. */
int pt_sender_watch_card(struct pt_sender *s, __u64 now_ns);

/* pt_sender_count sums the lanes' counters into the report. */
void pt_sender_count(struct pt_sender *s);

/* pt_sender_end_begin: the transfer is over, with ret: tells the receiver, ends threads,
 * asks what became of a commit, in steps; 1: there are more, 0: end.ret is to be
 * reported.  pt_sender_join then waits for threads that the source holds up. */
void pt_sender_end_begin(struct pt_sender *s, int ret);
int pt_sender_end_step(struct pt_sender *s);
void pt_sender_join(struct pt_sender *s);

/* pt_sender_ask_begin leaves the connection.  ask_step: 1: asks; 0: committed, else as
 * end.ret. */
void pt_sender_ask_begin(struct pt_sender *s);
int pt_sender_ask_step(struct pt_sender *s);

/* pt_sender_tick_every has step called so often, at least. */
void pt_sender_tick_every(const struct pt_sender *s, __u32 ms);

/* pt_sender_unwatch: step is not called for fd any more. */
void pt_sender_unwatch(const struct pt_sender *s, int fd);

/* pt_sender_start_lanes: what was started is to be stopped, whatever it
 * returns.  pt_sender_stop_lanes: reports the profile, too. */
int pt_sender_start_lanes(struct pt_sender *s);
void pt_sender_stop_lanes(struct pt_sender *s);

#endif
