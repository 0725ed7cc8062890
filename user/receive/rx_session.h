/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_session: the control half of one transfer at the receiver: its connection,
 * its negotiated parameters and its state.
 *
 *     offered -> opening -> data -> verifying -> verified -> committing -> done
 *        |          |        |          |           |            |
 *        +----------+--------+----------+-----------+------------+--> ended
 *
 * Threads: control's; the store's thread does all that may wait for storage,
 * see rx_storage.h.
 */
#ifndef RECEIVE_RX_SESSION_H
#define RECEIVE_RX_SESSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/due.h"
#include "receive/receiver.h"
#include "receive/rx_held.h"
#include "receive/rx_host.h"
#include "receive/rx_rate.h"
#include "receive/store.h"

/* PT_RX_STATES: X(symbol, due), in the order in which a session passes them.
 * due names the message that the sender owes in this state, see due.h; NULL:
 * the sender owes none.  The tests read this list, and kill a receiver in each
 * state. */
#define PT_RX_STATES(X)							\
	X(OFFERED, "OPEN")	/* OFFER was sent; ASK may come, too */	\
	X(OPENING, "SEGMENT")						\
	X(DATA, "data")		/* also files, digests, VERIFY */	\
	X(VERIFYING, NULL)	/* until the counters have settled */	\
	X(VERIFIED, "COMMIT")						\
	X(COMMITTING, NULL)	/* the store syncs and renames */	\
	X(DONE, "BYE")		/* COMMITTED was sent */		\
	X(ENDED, NULL)		/* freed when its storage is clear */

enum pt_rx_state {
#define X(symbol, due) PT_RX_##symbol,
	PT_RX_STATES(X)
#undef X
};

/* pt_rx_storage: the session's store, and waits for storage, see
 * rx_storage.h. */
struct pt_rx_storage {
	struct pt_store *store;		/* NULL before the last SEGMENT */
	struct pt_sink *sink;		/* for the store's thread */
	struct pt_sink **reserved;	/* the receiver's ready sink, for its first
					 * session; *reserved NULL: none */
	bool is_opening;		/* the store opens the sink, then the
					 * session is added to XDP ... */
	__u64 adding_ns;		/* ... since this time; 0: not yet */
	bool is_paused;			/* the store is full: the connection is not
					 * read */
	__u64 paused_ns;		/* last time when it was full */
	bool is_waiting;		/* a wait was reported, which began ... */
	__u64 waits_ns;			/* ... then */
};

/* pt_rx_files: the files that are still to come. */
struct pt_rx_files {
	__u32 left;			/* files not begun */
	__u64 bytes_left;		/* of the present file */
	__u64 claimed_sz;		/* of cfg->files_sz_max */
};

/* pt_rx_compare: the comparison of both ends' digests.  The fields from
 * region_done to differing_cnt are for the store's thread. */
struct pt_rx_compare {
	__u64 region_told;		/* DIGESTS have come of all below */
	__u64 region_done;		/* all below are compared */
	__u64 region;			/* the one that differs, if has_mismatch */
	bool has_mismatch;
	__u64 differing[PT_REGION_PAGES];	/* digests of its pages */
	__u32 differing_cnt;
	bool is_differing;		/* a job that digests them was queued; for
					 * control only */
};

/* pt_rx_verify: XDP stops steering the session's frames, and its counters
 * settle. */
struct pt_rx_verify {
	__u64 freeze_ns;		/* time at which XDP is to stop */
	bool is_frozen;
	__u64 deadline_ns;		/* 0: not frozen, or the store is busy */
};

/* pt_rx_watched: observations of the sender's progress, see rx_watch.h. */
struct pt_rx_watched {
	struct pt_due due;		/* the message owed in this state */
	bool idles;			/* memory that changes is sent: there may
					 * be nothing to send, so that it has
					 * longer before the first DIGESTS */
	__u32 lanes_set;		/* by LANE_SETs that were due */
	__u64 worked_sz;		/* the largest done_sz of a WORKING */
	__u64 pinged_ns;
	__u64 wrong_queue;		/* XDP's count at the last check, ... */
	__u64 looked_ns;		/* ... whose time this is */
};

/* pt_rx_guest: the stream of a guest's device state, see rx_guest.h. */
struct pt_rx_guest {
	struct pt_relay *relay;		/* NULL: no STATE has come */
	int state_fd;			/* the guest's, from the store's thread;
					 * -1: none */
	atomic_bool has_begun;		/* state_fd is set */
	bool is_attached;		/* relay has it */
	struct pt_due due;		/* of the guest, to read its state */
	int polled_fd;			/* as the session's */
};

/* pt_rx_fill: a guest that runs before its memory is whole, see rx_fill.h. */
struct pt_rx_fill {
	__u64 guest_id;			/* of HAND_OVER */
	__u64 told_page;		/* of the image: those below it were told to the
					 * sender of a rest, ... */
	bool tells;			/* ... unless that is over, or was not begun */
	__u64 told_gfn;			/* one above the last page that was told */
	bool is_told;			/* the last PAGES_LACKING has come */
	bool is_ready;			/* PAGES_READY was sent */
	bool is_handing;		/* HAND_OVER has come */
	atomic_bool does_not_run;	/* set by the store's thread: for certain, or */
	atomic_bool has_run;		/* the guest runs, then ... */
	bool is_handed;			/* ... HANDED_OVER was sent */
};

/* pt_rx_large: see rx_large.h. */
struct pt_rx_large {
	struct pt_large want;
	bool is_over;			/* the last LARGE has come */
};

/* pt_rx_request: the sender's first request, OPEN or ASK. */
struct pt_rx_request {
	bool wants_open;		/* OPEN has come: the sender does not ASK */
	bool is_open;			/* OPEN was accepted: it is a transfer */
	struct pt_msg_open open;
	__u64 asked_id;			/* transfer that the sender ASKs for; 0:
					 * none */
};

/* pt_rx_start: the start of the transfer. */
struct pt_rx_start {
	__u64 ns;			/* 0: not yet */
	struct pt_profile profile;	/* the host's then */
};

/* pt_rx_share: the session's share of the host. */
struct pt_rx_share {
	struct pt_admitted *admitted;	/* in the host's admission; NULL: not yet */
	__u64 claimed_sz;		/* see pt_rx_host_claim */
	bool is_on_host;		/* intake is on XDP and queues */
};

/* pt_rx_memory: the announced memory. */
struct pt_rx_memory {
	struct pt_segment *segments;
	__u32 segment_cnt;		/* that have come */
	struct pt_layout *layout;
	struct pt_rebuild *rebuild;	/* freed by the store's thread */
};

/* pt_rx_parting: the end between the session and its sender. */
struct pt_rx_parting {
	bool is_bye;			/* the sender sent BYE or ABORT, or got the
					 * outcome on another connection */
	bool is_leaving;		/* ENDED; a last message is being sent */
	bool is_parted;			/* ENDED; the receiver owns outcome and
					 * connection */
	bool may_be_asked;		/* the connection was lost when the sender
					 * may have sent COMMIT, and the transfer
					 * failed */
};

/* pt_rx_poll: the events by which the receiver comes to the session. */
struct pt_rx_poll {
	int wake_fd;
	int polled_fd;			/* in the receiver's epoll; -1: none */
	bool has_more;			/* messages are buffered, which poll does
					 * not report */
};

struct pt_rx_session {
	enum pt_rx_state state;		/* see pt_rx_session_enter */
	const struct pt_receiver_cfg *cfg;
	struct pt_rx_host *host;
	struct pt_conn *conn;		/* NULL: lost after COMMIT */
	struct pt_receive_report report;
	struct pt_rx_poll poll;
	struct pt_rx_request request;
	struct pt_rx_start start;
	struct pt_rx_share share;
	struct pt_rx_memory memory;
	struct pt_intake intake;
	struct pt_rx_large large;
	struct pt_rx_held held;		/* if report.is_resumed */
	struct pt_rx_storage storage;
	struct pt_rx_files files;
	struct pt_rx_compare compare;
	struct pt_rx_verify verify;
	struct pt_rx_watched watch;
	struct pt_rx_rate rate;
	struct pt_rx_fill fill;
	struct pt_rx_guest guest;	/* if request.open.live is PT_LIVE_GUEST */
	struct pt_rx_parting parting;
};

/* pt_rx_session_start owns the connection from now on, even if it fails, and
 * sends OFFER.  The session's transfer takes *reserved, if it is not NULL then.
 * Returns NULL if memory is lacking or the connection is lost. */
struct pt_rx_session *pt_rx_session_start(struct pt_conn *conn,
					  const struct pt_receiver_cfg *cfg,
					  struct pt_rx_host *host,
					  struct pt_sink **reserved,
					  int wake_fd);

/* pt_rx_session_enter begins a state.  Every change of state, including the
 * first, calls it, and it is not inlined, so that a debugger can stop a
 * receiver in a given state. */
void pt_rx_session_enter(struct pt_rx_session *s, enum pt_rx_state state)
	__attribute__((noinline));

/* pt_rx_session_read handles received messages, a bounded number, so that a
 * busy peer does not delay the others; has_more: some are left. */
void pt_rx_session_read(struct pt_rx_session *s);

/* pt_rx_session_tick checks time-outs, failures of queues, and storage.  It is
 * called at least every 100 ms. */
void pt_rx_session_tick(struct pt_rx_session *s, __u64 now_ns);

/* pt_rx_session_end aborts the transfer, sends ABORT, and enters ENDED.  Not
 * during a commit, which has to finish first.  It waits neither for the peer,
 * see is_leaving, nor for storage, which is cleared in the background. */
void pt_rx_session_end(struct pt_rx_session *s, int code,
		       const struct pt_error *err);

/* pt_rx_session_left returns what an end leaves, for messages. */
const char *pt_rx_session_left(const struct pt_rx_session *s);

/* pt_rx_session_leave_host returns the session's share of the host, queues and
 * memory, and takes its profile.  One call is enough. */
void pt_rx_session_leave_host(struct pt_rx_session *s);

/* pt_rx_session_lose ends the transfer of a sender that is lost, violates the
 * protocol or makes no progress.  A begun commit continues, and the sender may
 * ASK for its outcome. */
void pt_rx_session_lose(struct pt_rx_session *s, int code,
			const struct pt_error *err);

/* pt_rx_session_answer replies to ASK: COMMITTED if err is NULL, else ABORT. */
void pt_rx_session_answer(struct pt_rx_session *s, const struct pt_error *err);

/* pt_rx_session_leave returns the connection, which the caller then owns, if it
 * has to linger; else NULL.  The session's threads no longer use it. */
struct pt_conn *pt_rx_session_leave(struct pt_rx_session *s);

/* pt_rx_session_free frees the session, and waits for its storage if that is
 * not clear. */
void pt_rx_session_free(struct pt_rx_session *s);

/* pt_rx_session_open notes the transfer's start time, queues and profile. */
void pt_rx_session_open(struct pt_rx_session *s);

/* pt_rx_session_fd returns the descriptor to poll; -1: none, or reading is
 * paused. */
int pt_rx_session_fd(const struct pt_rx_session *s);

#endif
