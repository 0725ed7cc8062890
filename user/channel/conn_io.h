/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* conn_io: the inside of a connection, before and during its HELLO.  For
 * conn.c, hello.c, connect.c and listener.c alone. */
#ifndef CHANNEL_CONN_IO_H
#define CHANNEL_CONN_IO_H

#include <pthread.h>

#include <pagetrim/clock.h>
#include "channel/conn.h"
#include "tls/tls_stream.h"

#define PT_CONN_IN_SZ	(2 * PT_MESSAGE_SZ_MAX)
#define PT_CONN_HELLO_SZ 2048	/* room for input and for output before HELLO:
				 * who has not said it may be anybody */

struct pt_conn {
	int sock;
	int epoll;			/* holds sock; what callers poll */
	bool has_epoll;			/* it is ours, to close */
	void *tag;			/* of sock's events in it */
	struct pt_conn_cfg cfg;
	struct pt_address peer, local;
	char peer_text[PT_ADDRESS_TEXT_SZ];
	bool greeted;			/* our HELLO was sent */
	__u16 version;			/* agreed in HELLO; 0 before */
	__u64 capabilities;
	__u64 last_recv_ns;		/* atomic */

	/* The receiving thread's. */
	__u8 *in;
	size_t in_room;			/* PT_CONN_HELLO_SZ, then PT_CONN_IN_SZ */
	size_t in_at, in_end;		/* received, not yet decoded */
	bool in_bad;			/* what is there is no message */
	bool in_over;			/* nothing more will come */
	bool has_said_end;		/* pt_conn_finish */
	struct pt_message_scratch *scratch;	/* NULL before HELLO */

	/* Any thread's, under lock. */
	pthread_mutex_t lock;
	struct pt_tls_stream *tls;	/* NULL: plaintext */
	bool is_secured;		/* the handshake is done, or none is due */
	__u8 *out;
	size_t out_room;		/* PT_CONN_HELLO_SZ, then PT_CONN_OUT_SZ */
	size_t out_at, out_end;		/* queued, not yet written */
	bool out_watched;		/* epoll wakes us when it can be */
	bool out_over;			/* nothing more can go */
	int failure;			/* the first -errno, or 0 */
	struct pt_error failed;		/* its text */
};

/* pt_conn_adopt makes a connection of a connected socket, which it owns from
 * now on, even if it fails (-ENOMEM, or as the socket said).  host: whom we
 * connected to; NULL: the peer did.  Nothing watches it yet. */
int pt_conn_adopt(struct pt_conn **out, int sock, const struct pt_address *peer,
		  const char *host, const struct pt_conn_cfg *cfg,
		  struct pt_error *err);

/* pt_conn_watch has sock watched by epoll, which stays the caller's, its events
 * marked by tag; -1: by one of its own.  What watched it before does not any
 * more.  0 or -errno. */
int pt_conn_watch(struct pt_conn *c, int epoll, void *tag);

/* pt_conn_grow gives a connection past its HELLO its full room, and an epoll
 * descriptor of its own. */
int pt_conn_grow(struct pt_conn *c, struct pt_error *err);

/* pt_conn_secure goes on with the TLS handshake: 1 done, or none is due; 0
 * there is more to come, -errno. */
int pt_conn_secure(struct pt_conn *c, struct pt_error *err);

/* pt_conn_fail keeps the connection's first failure and tells it.  why NULL:
 * the usual text for code. */
int pt_conn_fail(struct pt_conn *c, int code, const char *why,
		 struct pt_error *err);

/* pt_conn_flush writes what is queued and the socket takes. */
void pt_conn_flush(struct pt_conn *c);

/* pt_conn_fill reads once: 1 something came, 0 nothing now, -errno. */
int pt_conn_fill(struct pt_conn *c, struct pt_error *err);

/* pt_conn_decode: 1 and the next message of what was read, 0 when none is
 * complete, or -EPROTO. */
int pt_conn_decode(struct pt_conn *c, struct pt_message *out,
		   struct pt_error *err);

/* pt_conn_hello_send queues our HELLO. */
int pt_conn_hello_send(struct pt_conn *c, struct pt_error *err);

/* pt_conn_hello_recv: 1 when the peer's HELLO came and agrees with ours, 0
 * when there is more to come, else -errno.  Of a HELLO that is refused an ABORT
 * says why, once the connection is finished:
 *   -EPROTO           not pagetrim, or of our role
 *   -EPROTONOSUPPORT  no version in common
 *   or a failure of the connection */
int pt_conn_hello_recv(struct pt_conn *c, struct pt_error *err);

#endif
