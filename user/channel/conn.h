/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room channel: the TCP connection between two agents.
 *
 *   knows         messages and their codec, HELLO, listening, connecting, parting, the
 *                 keys that frames get from it
 *   may use       base seal net tls
 *   must not know the effect of a message on a transfer
 */
/* conn: one TCP connection between two agents, past its HELLO; over TLS if the
 * process has keys (tls.h), else in plaintext.
 *
 *	a connection comes from connect.h or listener.h
 *	loop: poll(pt_conn_fd(c), POLLIN)
 *		while ((ret = pt_conn_recv(c, &m, err)) > 0)
 *			...;			(0: wait again, < 0: it is over)
 * A new one may hold messages already: receive before the first poll.
 *
 * Output: pt_conn_send queues whole messages, at most PT_CONN_OUT_SZ bytes, and
 * writes what the socket takes at once.  The rest goes out as the socket
 * drains: pt_conn_fd is an epoll descriptor that becomes readable for input and
 * also while queued output can be written, and pt_conn_recv writes it.  So no
 * caller watches for POLLOUT, whichever thread has sent.
 *
 * Threads: any thread may send; one at a time receives, and only that one
 * finishes and closes, after all others have stopped sending.
 *
 * Failure: the first one is kept, and later calls return it again.  An err
 * names the peer and the cause, with PT_EXIT_PEER.  Silence is no failure: TCP
 * itself gives up after an hour, and the caller decides how long to wait.
 *   -EPIPE       the peer closed the connection
 *   -ECONNRESET  the peer's host cut it (its process died, or a firewall)
 *   -ETIMEDOUT   the network gave up on it
 *   -EBADMSG     what came was broken under way (TLS)
 *   -EPROTO      what came is no message that the peer may send; only this
 *                one still lets us send: an ABORT that says so
 *   other        as the socket said
 */
#ifndef CHANNEL_CONN_H
#define CHANNEL_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "channel/messages.h"
#include "net/address.h"
#include "tls/tls.h"
#include <pagetrim/error.h>

#define PT_CONN_OUT_SZ		(1u << 20)	/* bytes queued for output */

#define PT_CONN_REFUSE_MS	300	/* for a peer to read the reason of its
					 * refusal */

struct pt_conn;

struct pt_conn_cfg {
	enum pt_role role;	/* ours; the peer must have the other */
	__u64	capabilities;	/* ours, PT_CAP bits */
	__u32	hello_ms;	/* listener: the time limit of a newcomer's
				 * HELLO; 0: PT_PENDING_MS */
	struct pt_tls *tls;	/* a connection holds it; NULL: plaintext */
};

/* pt_conn_is_sealed: the connection is TLS, and the peer is authenticated. */
bool pt_conn_is_sealed(const struct pt_conn *c);

/* pt_conn_capabilities returns the bits that both HELLOs have. */
__u64 pt_conn_capabilities(const struct pt_conn *c);

/* pt_conn_export writes keying material that only both ends can derive (RFC
 * 8446, 7.5): out_sz bytes for label and context.  Any thread.  The caller
 * wipes it.
 *   -ENOTSUP  the connection is plaintext
 *   -EIO      OpenSSL failed */
int pt_conn_export(struct pt_conn *c, const char *label, const void *context,
		   size_t context_sz, void *out, size_t out_sz);

/* pt_conn_close drops queued output and closes.  NULL is allowed. */
void pt_conn_close(struct pt_conn *c);

/* pt_conn_shut drops queued output and closes the socket, while other threads
 * may still use c: their sends fail.  Only for a connection with an epoll of
 * its own; pt_conn_close comes after it. */
void pt_conn_shut(struct pt_conn *c);

/* pt_conn_fd returns a descriptor for poll and epoll, POLLIN only; valid until
 * close. */
int pt_conn_fd(const struct pt_conn *c);

/* pt_conn_send queues m.  Any thread.
 *   -ENOBUFS  the queue is full: the peer reads too slowly; not a failure of
 *             the connection, m was not queued
 *   -EINVAL   m is outside its limits; err names the field */
int pt_conn_send(struct pt_conn *c, const struct pt_message *m,
		 struct pt_error *err);

/* pt_conn_send_batched works as pt_conn_send, but waits up to timeout_ms for room, and m
 * may stay queued until there is a system call's worth of messages, the next
 * pt_conn_send, pt_conn_flush or pt_conn_recv: for many small ones in a row.
 *   -ETIMEDOUT  there was none, and m was not queued
 *   -ECANCELED  in place of a wait, when stop_fd (or -1) is readable */
int pt_conn_send_batched(struct pt_conn *c, const struct pt_message *m,
			 int timeout_ms, int stop_fd, struct pt_error *err);

/* pt_conn_recv returns 1 and a message (never a HELLO), 0 if none is complete,
 * or -errno.  Messages that came before a failure are delivered before it. */
int pt_conn_recv(struct pt_conn *c, struct pt_message *out,
		 struct pt_error *err);

/* pt_conn_finish_step ends our output (linger): it writes the queue, shuts our
 * direction down, and reads and drops input until the peer has closed, too.  It does
 * not wait, and returns whether that is over; if not, call it again when pt_conn_fd
 * is readable.  pt_conn_close follows. */
bool pt_conn_finish_step(struct pt_conn *c);

/* pt_conn_last_recv_ns returns the CLOCK_MONOTONIC time of the last received
 * byte.  Any thread. */
__u64 pt_conn_last_recv_ns(const struct pt_conn *c);

/* pt_conn_rtt_ns returns the kernel's recent minimum round trip; 0: unknown.
 * It excludes the time of our threads. */
__u64 pt_conn_rtt_ns(const struct pt_conn *c);

/* pt_conn_queued_sz returns the bytes of output that the socket has not
 * taken. */
size_t pt_conn_queued_sz(struct pt_conn *c);

/* pt_conn_backlog_sz returns the same plus the bytes that the socket has taken
 * but not sent once.  Any thread. */
size_t pt_conn_backlog_sz(struct pt_conn *c);

/* The addresses of both ends, with ports; and the peer's as text. */
const struct pt_address *pt_conn_peer(const struct pt_conn *c);
const struct pt_address *pt_conn_local(const struct pt_conn *c);
const char *pt_conn_peer_text(const struct pt_conn *c);

/* pt_conn_peer_name returns the name in the peer's certificate, see
 * pt_tls_stream_name; "": it has none. */
const char *pt_conn_peer_name(const struct pt_conn *c);

/* pt_conn_peer_identity returns that name or the identity of the peer's
 * pre-shared key; "": it is not authenticated. */
const char *pt_conn_peer_identity(const struct pt_conn *c);

#endif
