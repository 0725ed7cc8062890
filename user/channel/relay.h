/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* relay: joins a stream socket with the STATE messages of a connection.
 *
 *     socket --read--> STATE messages --> connection      end: a STATE without
 *     socket <--write-- queue <--take---- connection      bytes, shutdown(2)
 *
 *	loop: poll(pt_relay_fd(r), pt_conn_fd(c), POLLIN)
 *		for each STATE of pt_conn_recv: pt_relay_take(r, ...)
 *		while pt_relay_step(r, err) is 1: wait again
 *
 * Bounds: the queue takes all that a peer may send, PT_STATE_SZ_MAX, and
 * allocates memory as bytes come.  The socket is not read while more than
 * PT_RELAY_AHEAD_SZ bytes wait in the connection, so that other messages
 * have room.
 *
 * Failure: the first one is kept, and later calls return it again.
 *   -EPIPE, -ECONNRESET  the socket's other end was closed before its end
 *   -EFBIG   the socket's stream is longer than PT_STATE_SZ_MAX
 *   -EPROTO  the peer sent more than PT_STATE_SZ_MAX, or a STATE after the end
 *   -ENOMEM
 *   or as pt_conn_send, or as the socket said
 *
 * Threads: the one that receives from the connection.
 */
#ifndef CHANNEL_RELAY_H
#define CHANNEL_RELAY_H

#include "channel/conn.h"

#define PT_RELAY_AHEAD_SZ	(PT_CONN_OUT_SZ / 4)
#define PT_RELAY_FULL_SZ	(4u << 20)

struct pt_relay;

/* pt_relay_counts: bytes of the stream. */
struct pt_relay_counts {
	__u64 read_sz;		/* from the socket */
	__u64 sent_sz;		/* of these, given to the connection */
	__u64 taken_sz;		/* from the connection */
	__u64 written_sz;	/* of these, to the socket */
	bool has_sent_end;
	bool has_written_end;
};

/* pt_relay_open: socket and connection stay the caller's, and are used until
 * pt_relay_close.  The socket need not be non-blocking.  fd -1: bytes wait until
 * pt_relay_attach gives the socket, once.
 *   -ENOMEM, -EMFILE, -ENFILE */
int pt_relay_open(struct pt_relay **out, int fd, struct pt_conn *conn,
		  struct pt_error *err);
void pt_relay_attach(struct pt_relay *r, int fd);
void pt_relay_close(struct pt_relay *r);	/* NULL is allowed */

/* pt_relay_any_length: the streams may be longer than PT_STATE_SZ_MAX.  Still not
 * more than that may wait for the socket: a caller that takes no more while
 * pt_relay_is_full does not get there. */
void pt_relay_any_length(struct pt_relay *r);
bool pt_relay_is_full(const struct pt_relay *r);

/* pt_relay_fd returns a descriptor for poll and epoll, POLLIN only: step has
 * work.  It is valid until close. */
int pt_relay_fd(const struct pt_relay *r);

/* pt_relay_take queues the bytes of a received STATE, and writes those that the
 * socket takes. */
int pt_relay_take(struct pt_relay *r, const struct pt_msg_state *m,
		  struct pt_error *err);

/* pt_relay_step does all present work without blocking.  It is called when
 * pt_relay_fd is readable, and after each turn of pt_conn_recv, which may have
 * made room.  Returns 1 while a direction goes on; 0: both have ended. */
int pt_relay_step(struct pt_relay *r, struct pt_error *err);

/* pt_relay_is_held: the socket is not read, since the connection has much to
 * send.  If another thread sends, too, its room is not reported: the caller
 * repeats step after a few milliseconds. */
bool pt_relay_is_held(const struct pt_relay *r);

void pt_relay_counts(const struct pt_relay *r, struct pt_relay_counts *counts);

#endif
