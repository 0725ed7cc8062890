/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* connect: a connection past its HELLO, made in steps that wait for nothing.
 *
 *     a name's addresses > one after the other, until one answers > TLS, HELLO
 *
 *	pt_connect_begin(&k, ...)
 *	loop: poll(pt_connect_fd(k), POLLIN, at most pt_connect_left_ms(k))
 *		pt_connect_step(k, &c, ...)
 *	pt_connect_end(k)
 *
 * Threads: one, and see resolve.h. */
#ifndef CHANNEL_CONNECT_H
#define CHANNEL_CONNECT_H

#include "channel/conn.h"

struct pt_connect;

/* pt_connect_begin: to is "HOST[:PORT]" (see pt_resolve; default port PT_UDP_PORT); all
 * of it has timeout_ms.  On success returns 0 and *out is the caller's, to
 * pt_connect_end. */
int pt_connect_begin(struct pt_connect **out, const char *to,
		     const struct pt_conn_cfg *cfg, int timeout_ms,
		     struct pt_error *err);

/* pt_connect_fd: for poll and epoll, POLLIN only. */
int pt_connect_fd(const struct pt_connect *k);

/* pt_connect_left_ms: until step has something to say of the time. */
int pt_connect_left_ms(const struct pt_connect *k);

/* pt_connect_step: 1 and *out is the caller's, to pt_conn_close; 0: not yet; else:
 *   -EINVAL, -ENOENT  as pt_address_resolve
 *   -ECONNREFUSED     nothing listens there
 *   -EHOSTUNREACH, -ENETUNREACH  no way there
 *   -ETIMEDOUT        no answer, or a connection that says nothing
 *   -EPROTO           the other side is not pagetrim, or has the same role,
 *                     or one side speaks TLS and the other plaintext
 *   -EKEYREJECTED     TLS: one side refuses the other's key, certificate or
 *                     name
 *   -EBADMSG          TLS: the input is broken
 *   -EPROTONOSUPPORT  another version; err names both
 * A peer whose HELLO is refused gets an ABORT with the cause, within
 * PT_CONN_REFUSE_MS. */
int pt_connect_step(struct pt_connect *k, struct pt_conn **out,
		    struct pt_error *err);

/* pt_connect_stopped: -ECANCELED, and err says what it was doing. */
int pt_connect_stopped(const struct pt_connect *k, struct pt_error *err);

void pt_connect_end(struct pt_connect *k);	/* NULL is fine */

#endif
