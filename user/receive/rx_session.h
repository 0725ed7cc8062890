/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_session: the control half of one transfer at the receiver: a connection,
 * what was agreed on it, and where it stands.
 *
 *     offered -> opening -> data -> verifying -> verified -> committing -> done
 *        |          |        |          |           |            |
 *        +----------+--------+----------+-----------+------------+--> ended
 *
 * Threads: control's; what may wait for storage is its store's, see rx_storage.h.
 */
#ifndef RECEIVE_RX_SESSION_H
#define RECEIVE_RX_SESSION_H

#include <pthread.h>

#include "base/due.h"
#include "receive/receiver.h"
#include "receive/rx_held.h"
#include "receive/rx_host.h"
#include "receive/store.h"

/* PT_RX_STATES: X(symbol, due), in the order in which a session passes them.  due:
 * what the sender owes in that state, see due.h; NULL: nothing, the work is ours.  The
 * tests read this list, and kill a receiver in each of these. */
#define PT_RX_STATES(X)							\
	X(OFFERED, "OPEN")	/* OFFER was sent; or ASK comes */	\
	X(OPENING, "SEGMENT")						\
	X(DATA, "data")		/* and with it files, digests, VERIFY */ \
	X(VERIFYING, NULL)	/* until the counters have settled */	\
	X(VERIFIED, "COMMIT")						\
	X(COMMITTING, NULL)	/* its thread runs */			\
	X(DONE, "BYE")		/* COMMITTED was said */		\
	X(ENDED, NULL)		/* to be freed once its storage is clear */

enum pt_rx_state {
#define X(symbol, due) PT_RX_##symbol,
	PT_RX_STATES(X)
#undef X
};

/* pt_rx_storage: who waits for it, see rx_storage.h. */
struct pt_rx_storage {
	struct pt_store *store;		/* NULL: nothing was stored */
	struct pt_sink *sink;		/* the store's */
	struct pt_sink **reserved;	/* the receiver's, for who comes first;
					 * NULL in it: none */
	bool is_opening;		/* it makes the sink, and then, ... */
	__u64 adding_ns;		/* ... since then, XDP is told of it */
	bool is_paused;			/* it has no room: nothing is read */
	__u64 paused_ns;		/* when that was so last */
	bool is_waiting;		/* and that was said, since ... */
	__u64 waits_ns;			/* ... then */
};

/* pt_rx_files: those that come along, as far as they have not come. */
struct pt_rx_files {
	__u32 left;
	__u64 bytes_left;
	__u64 claimed_sz;		/* of cfg->files_sz_max */
};

/* pt_rx_compare: of both ends' digests. */
struct pt_rx_compare {
	__u64 region_told;		/* DIGESTS spoke of all below */
	__u64 region_done;		/* compared all below: the store's, as the
					 * next four */
	__u64 region;			/* that differs, if has_mismatch */
	bool has_mismatch;
	__u64 differing[PT_REGION_PAGES];	/* digests of its pages */
	__u32 differing_cnt;
	bool is_differing;		/* it was asked for them; control's */
};

/* pt_rx_verify: XDP forgets the session, and its counters settle. */
struct pt_rx_verify {
	__u64 freeze_ns;		/* when it is to forget */
	bool is_frozen;
	__u64 deadline_ns;		/* 0: not frozen, or storage waits */
};

/* pt_rx_watched: whether the sender lives and goes on, see rx_watch.h. */
struct pt_rx_watched {
	struct pt_due due;		/* what it owes in this state */
	bool idles;			/* this kind of session may: nothing is due.
					 * (None does now.) */
	__u32 lanes_set;		/* by LANE_SETs that were due */
	__u64 worked_sz;		/* the most that a WORKING said */
	__u64 pinged_ns;
	__u64 wrong_queue;		/* XDP's count when last looked at, ... */
	__u64 looked_ns;		/* ... which was then */
};

struct pt_rx_session {
	enum pt_rx_state state;		/* see pt_rx_session_enter */
	const struct pt_receiver_cfg *cfg;
	struct pt_rx_host *host;
	struct pt_conn *conn;		/* NULL: lost after COMMIT */
	struct pt_receive_report report;
	struct pt_error *err;		/* &report.error */
	bool is_open;			/* OPEN was accepted: a transfer */
	bool has_more;			/* to read, whatever poll says */
	bool is_bye;			/* the sender said BYE or ABORT, or was
					 * told on another connection */
	bool is_leaving;		/* ENDED; a last message is on its way */
	bool is_parted;			/* ENDED; outcome and connection are the
					 * receiver's */
	bool may_be_asked;		/* lost when COMMIT may have come */
	bool is_on_host;
	struct pt_admitted *admitted;	/* of the host's admission; NULL: not yet */
	__u64 asked_id;			/* ASKs for the outcome of this transfer */
	__u64 opened_ns;
	struct pt_profile opened_profile;	/* the host's, then */

	struct pt_msg_open open;
	__u64 claimed_sz;		/* see pt_rx_host_claim */
	struct pt_segment *segments;
	__u32 segment_cnt;
	struct pt_layout *layout;
	struct pt_rebuild *rebuild;	/* the store's */
	struct pt_rx_held held;		/* if report.is_resumed */
	struct pt_intake intake;

	struct pt_rx_storage storage;
	struct pt_rx_files files;
	struct pt_rx_compare compare;
	struct pt_rx_verify verify;
	struct pt_rx_watched watch;
	int wake_fd;
	int polled_fd;			/* the receiver's to keep; -1: none */
};

/* pt_rx_session_start takes the connection, in any case, and offers.  Its
 * transfer takes *reserved, if there is still one.  NULL: no memory, or it is
 * gone already. */
struct pt_rx_session *pt_rx_session_start(struct pt_conn *conn,
					  const struct pt_receiver_cfg *cfg,
					  struct pt_rx_host *host,
					  struct pt_sink **reserved,
					  int wake_fd);

/* pt_rx_session_enter begins a state.  Every change goes through here, the
 * first one too, and it stays a function of its own: it is where a debugger
 * stops a receiver in a given state. */
void pt_rx_session_enter(struct pt_rx_session *s, enum pt_rx_state state)
	__attribute__((noinline));

/* pt_rx_session_read acts on messages that have come; has_more: not on all, so
 * that a peer that never stops talking keeps no other waiting. */
void pt_rx_session_read(struct pt_rx_session *s);

/* pt_rx_session_tick looks after time-outs, failures of queues, its storage;
 * at least every 100 ms. */
void pt_rx_session_tick(struct pt_rx_session *s, __u64 now_ns);

/* pt_rx_session_end aborts the transfer and tells the peer; state is ENDED.
 * Not while committing: that is waited for.  Nothing waits for the peer: see
 * is_leaving; nor for storage, which clears meanwhile. */
void pt_rx_session_end(struct pt_rx_session *s, int code,
		       const struct pt_error *err);

/* pt_rx_session_leave_host: its part of the host, queues and memory, is free for
 * others from here on, and its profile is taken.  Once is enough. */
void pt_rx_session_leave_host(struct pt_rx_session *s);

/* pt_rx_session_lose: a sender that is gone, makes no sense or no progress ends
 * the transfer, unless the commit has begun: that is carried through, and the
 * sender may ask again. */
void pt_rx_session_lose(struct pt_rx_session *s, int code,
			const struct pt_error *err);

/* pt_rx_session_answer tells one that ASKed: committed, or (err) not. */
void pt_rx_session_answer(struct pt_rx_session *s, const struct pt_error *err);

/* pt_rx_session_leave: the connection, if it is still to finish; the caller's
 * then.  Else NULL.  No thread of the session's uses it after that. */
struct pt_conn *pt_rx_session_leave(struct pt_rx_session *s);

/* pt_rx_session_free waits for its storage, if it is not clear. */
void pt_rx_session_free(struct pt_rx_session *s);

/* pt_rx_session_open notes the time from which the transfer counts. */
void pt_rx_session_open(struct pt_rx_session *s);

/* pt_rx_session_fd: for poll; -1: none, or nothing is to be read now. */
int pt_rx_session_fd(const struct pt_rx_session *s);

#endif
