/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* conn_io: the internals of a connection, before and during its HELLO.  For
 * conn.c, hello.c, connect.c and listener.c only. */
#ifndef CHANNEL_CONN_IO_H
#define CHANNEL_CONN_IO_H

#include <pthread.h>

#include <pagetrim/clock.h>
#include "channel/conn.h"
#include "tls/tls_stream.h"

#define PT_CONN_IN_SZ	(2 * PT_MESSAGE_SZ_MAX)
#define PT_CONN_HELLO_SZ 2048	/* room for input and for output before HELLO,
				 * when the peer may be anybody */

struct pt_conn {
	int sock;
	int epoll;			/* holds sock; callers poll it */
	bool has_epoll;			/* the epoll is ours, to close */
	void *tag;			/* tag of sock's events */
	struct pt_conn_cfg cfg;
	struct pt_address peer, local;
	char peer_text[PT_ADDRESS_TEXT_SZ];
	bool greeted;			/* our HELLO was sent */
	__u16 version;			/* agreed in HELLO; 0 before */
	__u64 capabilities;
	__u64 last_recv_ns;		/* atomic */

	/* For the receiving thread. */
	__u8 *in;
	size_t in_room;			/* PT_CONN_HELLO_SZ, then PT_CONN_IN_SZ */
	size_t in_at, in_end;		/* received, not yet decoded */
	bool in_bad;			/* the input is no message */
	bool in_over;			/* the input has ended */
	bool has_said_end;		/* pt_conn_finish_step */
	struct pt_message_scratch *scratch;	/* NULL before HELLO */

	/* For any thread, under lock. */
	pthread_mutex_t lock;
	struct pt_tls_stream *tls;	/* NULL: plaintext */
	bool is_secured;		/* the handshake is done, or none is due */
	__u8 *out;
	size_t out_room;		/* PT_CONN_HELLO_SZ, then PT_CONN_OUT_SZ */
	size_t out_at, out_end;		/* queued, not yet written */
	bool out_watched;		/* epoll wakes us when output is
					 * possible */
	bool out_over;			/* the output has ended */
	int failure;			/* the first -errno, or 0 */
	struct pt_error failed;		/* its text */
};

/* pt_conn_adopt makes a connection of a connected socket, which it owns from
 * now on, even if it fails (-ENOMEM, or as the socket said).  host: the host
 * that we connected to; NULL: the peer connected.  Nothing watches it yet. */
int pt_conn_adopt(struct pt_conn **out, int sock, const struct pt_address *peer,
		  const char *host, const struct pt_conn_cfg *cfg,
		  struct pt_error *err);

/* pt_conn_watch moves sock to the caller's epoll, with events marked by tag;
 * -1: to an epoll of its own.  Returns 0 or -errno. */
int pt_conn_watch(struct pt_conn *c, int epoll, void *tag);

/* pt_conn_grow gives a connection past its HELLO its full room, and an epoll
 * descriptor of its own. */
int pt_conn_grow(struct pt_conn *c, struct pt_error *err);

/* pt_conn_secure continues the TLS handshake: 1: done, or none is due; 0: more
 * is to come; -errno. */
int pt_conn_secure(struct pt_conn *c, struct pt_error *err);

/* pt_conn_fail keeps the connection's first failure and reports it.  why NULL:
 * the usual text for code. */
int pt_conn_fail(struct pt_conn *c, int code, const char *why,
		 struct pt_error *err);

/* pt_conn_flush writes as much of the queue as the socket takes. */
void pt_conn_flush(struct pt_conn *c);

/* pt_conn_fill reads once: 1: bytes came; 0: nothing now; -errno. */
int pt_conn_fill(struct pt_conn *c, struct pt_error *err);

/* pt_conn_decode returns 1 and the next message of the input, 0 if none is
 * complete, or -EPROTO. */
int pt_conn_decode(struct pt_conn *c, struct pt_message *out,
		   struct pt_error *err);

/* pt_conn_hello_send queues our HELLO. */
int pt_conn_hello_send(struct pt_conn *c, struct pt_error *err);

/* pt_conn_hello_recv returns 1 if the peer's HELLO came and agrees with ours, 0
 * if more is to come, else -errno.  An ABORT gives the peer the reason of a
 * refusal, once the connection is finished:
 *   -EPROTO           not pagetrim, or of our role
 *   -EPROTONOSUPPORT  no version in common
 *   or a failure of the connection */
int pt_conn_hello_recv(struct pt_conn *c, struct pt_error *err);

#endif
