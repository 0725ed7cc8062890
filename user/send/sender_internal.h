/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sender_internal: shared by sender.c (open, start, step and close) and the
 * other sender_*.c. */
#ifndef SEND_SENDER_INTERNAL_H
#define SEND_SENDER_INTERNAL_H

#include <pthread.h>

#include "base/due.h"
#include "channel/connect.h"
#include "lane/lane.h"
#include "lane/worker.h"
#include "send/held.h"
#include "send/recheck.h"
#include "send/send_files.h"
#include "send/send_path.h"
#include "send/sender.h"
#include "send/sender_live.h"
#include "send/sender_postcopy.h"
#include "source/source_large.h"

/* pt_send_setup: the steps of phase SETUP. */
enum pt_send_setup {
	PT_SETUP_OFFER,		/* OFFER is awaited */
	PT_SETUP_OFFERED,	/* OFFER has come */
	PT_SETUP_LINK,		/* the next hop's MAC address is looked up */
	PT_SETUP_SEGMENTS,	/* OPEN was sent, SEGMENTs are being sent */
	PT_SETUP_OPEN,		/* OPENED is awaited */
	PT_SETUP_OPENED,	/* OPENED has come */
};

/* pt_send_large: the large pages of the source, and how far they were told. */
struct pt_send_large {
	struct pt_source_large found;
	__u32 next;		/* index of the first run that was not told whole */
	__u64 done;		/* pages of that run that were told */
	bool is_told;
};

/* pt_send_ending: the steps after the last phase, see sender_end.c. */
enum pt_send_ending {
	PT_ENDING_NOT,
	PT_ENDING_THREADS,	/* threads are ending */
	PT_ENDING_ASK,		/* the sender asks for the outcome */
	PT_ENDING_FINISH,	/* the receiver reads the last message */
	PT_ENDING_LEAVE,	/* threads end that waited for the connection */
	PT_ENDING_OVER,
};

/* pt_send_end: the transfer's end. */
struct pt_send_end {
	enum pt_send_ending state;
	int ret;		/* the result that step will return */
	bool is_unknown;	/* the receiver may or may not have committed */
	__u64 deadline_ns;	/* of the state */
};

/* pt_send_ask: requests for the outcome on new connections, see
 * sender_ask.c. */
struct pt_send_ask {
	__u64 deadline_ns;	/* of the last request's start */
	__u64 again_ns;		/* start of the next request; 0: one is running */
	bool has_offer;		/* the new connection's OFFER has come */
};

struct pt_sender {
	struct pt_sender_cfg cfg;	/* with the defaults in place of zeroes */
	struct pt_send_report report;
	__u64 rate_max;			/* the receiver's limit, for
					 * report.bytes_per_s; 0: none */
	struct pt_error error;		/* if result < 0 */
	int result;			/* of step; 1: the transfer continues */
	bool is_started;
	bool is_joined;			/* ended, and no thread is left */
	struct pt_send_end end;
	struct pt_send_ask ask;
	pthread_mutex_t lock;		/* recursive: warn may call status */
	struct pt_conn *conn;
	struct pt_connect *connect;	/* a connection being made; NULL: none */
	struct pt_conn *left_conn;	/* shut, but threads may still use it */
	enum pt_send_setup setup;
	__u64 setup_ns;		/* time of its last progress */
	__u32 segment_next;	/* SEGMENTs of all below were sent */
	struct pt_send_large large;
	struct pt_msg_offer offer;
	struct pt_layout *layout;
	struct pt_dirty *dirty;
	struct pt_digests digests;
	__u8 compressions;		/* 1 << enum pt_compression, of those
					 * that frames may have */
	__u64 digest_key;
	struct pt_send_files *files;
	struct pt_send_path path;
	struct pt_send_job job;
	struct pt_pacer pacer;
	struct pt_regulator regulator;
	struct pt_seal *seals[PT_LANES_MAX]; /* by lane; NULL: not sealed */
	struct pt_worker *workers[PT_LANES_MAX];	/* by queue of the path */
	__u32 worker_cnt;
	struct pt_lane *lanes[PT_LANES_MAX];
	struct pt_stage_clock clocks[PT_LANES_MAX];	/* with profile */
	struct pt_stage_clock control_clock;
	struct pt_stage_clock *clock;	/* &control_clock; NULL: not profiled */
	__u32 lane_cnt;
	int poll_fd;		/* epoll: pt_sender_fd */
	int wake_fd;		/* eventfd: another step has work */
	int tick_fd;		/* timerfd */
	int cancel_fd;		/* eventfd; stays readable after a cancel */
	__u64 stopped_ns;	/* time of a cancel during the commit; 0: none */
	bool is_told;		/* ABORT or BYE was sent */
	bool is_warned;		/* a moved route was reported */
	bool is_aborted;	/* the peer sent ABORT, and needs none */
	bool is_commit_sent;	/* COMMIT was given to the connection */
	struct pt_held held;
	struct pt_send_live live;
	struct pt_send_postcopy postcopy;
	__u16 stripe_cnt;	/* of the lanes, once they are divided, ... */
	__u16 stripe_lanes[PT_LANES_MAX];	/* ... and the lane of each */
	__u32 round;		/* of memory that changes; 0: the first */
	struct pt_recheck *recheck;	/* NULL: not begun, or not needed */
	bool is_rechecked;
	__u64 region_told;	/* DIGESTS were sent of all below */
	bool is_asked;		/* VERIFY was sent */
	bool is_verified;
	bool is_committed;
	__u64 started_ns;
	__u64 phase_ns;		/* start of the phase */
	struct pt_due due;	/* the message that the receiver owes, ... */
	__u64 moves;		/* ... and the count of its progress */
	__u64 pause_ns;		/* start of the present pause */
	__u64 pinged_ns;
	__u64 watched_ns;	/* time of the last check of the XDP program */
};

/* pt_sender_prepare does the work of open, except for the descriptors. */
int pt_sender_prepare(struct pt_sender *s);

/* pt_sender_find_large looks at the source, before privileges are given up.
 * pt_sender_tell_large sends as many LARGEs as the connection takes now, and returns 0
 * once all are sent; or as pt_conn_send_batched. */
int pt_sender_find_large(struct pt_sender *s);
int pt_sender_tell_large(struct pt_sender *s);

/* pt_sender_greet does a step of CONNECT; at its end it enters SETUP. */
int pt_sender_greet(struct pt_sender *s);

/* pt_sender_set_up does a step of SETUP; at its end the lanes probe. */
int pt_sender_set_up(struct pt_sender *s);

static inline enum pt_trim pt_sender_trim(const struct pt_sender *s)
{
	return s->cfg.trim - PT_SEND_TRIM_NONE + PT_TRIM_NONE;
}

/* pt_sender_watch adds fd to poll_fd: step is called when fd is readable. */
int pt_sender_watch(struct pt_sender *s, int fd);

/* pt_sender_connect continues to connect, until HELLO was received.  1: conn is
 * ready; 0: not yet. */
int pt_sender_connect(struct pt_sender *s);

/* pt_sender_expect restarts the deadline, for another message of the
 * receiver. */
void pt_sender_expect(struct pt_sender *s);

/* pt_sender_owed checks the deadline of the message that the receiver owes,
 * named by what.  The deadline restarts with each phase and each progress, and
 * stands still in a pause.  It is called in every step.  -ETIMEDOUT: the deadline is over, see due.h. */
int pt_sender_owed(struct pt_sender *s, const char *what);

/* pt_sender_watch_peer fails if the receiver is silent for too long, and sends
 * PING.  It is called at least every 100 ms, once connected. */
int pt_sender_watch_peer(struct pt_sender *s);

bool pt_sender_is_cancelled(const struct pt_sender *s);

/* pt_sender_is_rest: the rest of a guest is sent, that runs at the receiver. */
static inline bool pt_sender_is_rest(const struct pt_sender *s)
{
	return s->cfg.live && s->cfg.live->kind == PT_LIVE_REST;
}

/* pt_sender_writer returns what writes the memory while it is sent. */
static inline const char *pt_sender_writer(const struct pt_sender *s)
{
	return s->cfg.live && s->cfg.live->kind == PT_LIVE_GUEST
		? "the guest" : "the process";
}

/* pt_sender_look returns what to do about an unknown outcome. */
const char *pt_sender_look(const struct pt_sender *s);

/* pt_sender_interrupted returns the -ECANCELED of a sender that was cancelled
 * during the commit. */
int pt_sender_interrupted(struct pt_sender *s);

/* pt_sender_take handles a message. */
int pt_sender_take(struct pt_sender *s, const struct pt_message *m);

/* pt_sender_advance moves to the next phase when this one is done. */
int pt_sender_advance(struct pt_sender *s);

/* pt_sender_say_digests sends the digests of the next regions, from region_told on. */
int pt_sender_say_digests(struct pt_sender *s);

/* pt_sender_enter begins a phase, and returns the duration of the previous one.
 * Every change of phase, including the first, calls it, and it is not inlined,
 * so that a debugger can stop a sender in a given phase. */
__u64 pt_sender_enter(struct pt_sender *s, enum pt_send_phase phase)
	__attribute__((noinline));

/* pt_sender_watch_card checks once a second that the XDP program, which zero
 * copy requires, is still attached.  -ENODEV: it is not, so no more frames are
 * sent. */
int pt_sender_watch_card(struct pt_sender *s, __u64 now_ns);

/* pt_sender_count sums the lanes' counters into the report. */
void pt_sender_count(struct pt_sender *s);

/* pt_sender_name_unreadable names in the report, which has none yet, the pages that
 * were unreadable when they were sent last; no lane sends any more. */
void pt_sender_name_unreadable(struct pt_sender *s);

/* pt_sender_end_begin begins the end of a transfer with the result ret: the
 * receiver is notified, threads end, and the sender asks for the outcome of a
 * lost commit.  pt_sender_end_step does a step of it.  1: more steps follow; 0:
 * end.ret is the result.  pt_sender_join waits for threads that still read the
 * source. */
void pt_sender_end_begin(struct pt_sender *s, int ret);
int pt_sender_end_step(struct pt_sender *s);
void pt_sender_join(struct pt_sender *s);

/* pt_sender_ask_begin shuts the connection, and begins to ask for the outcome.
 * pt_sender_ask_step continues.  1: no answer yet; 0: committed; else the
 * result of the transfer. */
void pt_sender_ask_begin(struct pt_sender *s);
int pt_sender_ask_step(struct pt_sender *s);

/* pt_sender_tick_every makes poll_fd readable every ms milliseconds. */
void pt_sender_tick_every(const struct pt_sender *s, __u32 ms);

/* pt_sender_unwatch removes fd from poll_fd. */
void pt_sender_unwatch(const struct pt_sender *s, int fd);

/* pt_sender_start_lanes starts all lanes.  After a failure, too, the started
 * ones have to be stopped.  pt_sender_stop_lanes also reports the profile. */
int pt_sender_start_lanes(struct pt_sender *s);
void pt_sender_stop_lanes(struct pt_sender *s);

/* sender_steer.c: the rate that is used where bytes_per_s are wanted. */
__u64 pt_sender_rate(const struct pt_sender *s, __u64 bytes_per_s);

#endif
