/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* listener: a TCP port that hands out connections past their HELLO.
 *
 *	loop: poll(pt_listener_fd(l), POLLIN)
 *		while ((ret = pt_listener_accept(l, &c, err)))
 *			ret > 0: serve c;  ret < 0: log err.text, go on
 *
 * A connection is pending until its TLS handshake, if there is one, and its
 * HELLO are done.  It has a limited time for them, one descriptor, and at most
 * PT_PENDING_SZ bytes of our memory.  There are PT_PENDING_MAX places, fewer if
 * descriptors are short (a quarter of their soft limit); when the table is
 * full, a newcomer replaces the oldest.
 *
 * Everything happens inside pt_listener_accept: nothing blocks, there is no
 * thread.  One call takes at most PT_STEPS_MAX steps of pending connections, in
 * turn; a step may be one handshake's signature.  So the caller can serve its
 * other connections in between.  Threads: one.
 */
#ifndef CHANNEL_LISTENER_H
#define CHANNEL_LISTENER_H

#include "channel/conn.h"

#define PT_PENDING_MAX	1024	/* connections that have not said HELLO yet */
#define PT_PENDING_SZ	65536	/* bytes of memory for each, at most */
#define PT_STEPS_MAX	8	/* of strangers per call */
#define PT_PENDING_MS	5000	/* the default time limit for it */

struct pt_listener;

/* pt_listener_open listens at addr ("::" also takes IPv4); port 0 asks the
 * kernel for one.  On success returns 0 and *out is the caller's.
 *   -EADDRINUSE     the port is taken
 *   -EADDRNOTAVAIL  the address is none of this host's
 *   -ENOTUNIQ       another host has the address
 *   -EACCES         a port below 1024, without privilege */
int pt_listener_open(struct pt_listener **out, const struct pt_address *addr,
		     const struct pt_conn_cfg *cfg, struct pt_error *err);

/* pt_listener_secure: connections that are accepted from now on use tls, which
 * the listener holds; those that exist keep theirs.  Not for plaintext: tls is
 * not NULL. */
void pt_listener_secure(struct pt_listener *l, struct pt_tls *tls);

/* pt_listener_close also drops pending connections.  NULL is allowed. */
void pt_listener_close(struct pt_listener *l);

/* pt_listener_fd returns a descriptor for poll and epoll, POLLIN only; valid
 * until close. */
int pt_listener_fd(const struct pt_listener *l);

/* pt_listener_address returns its address, with the port that it got. */
const struct pt_address *pt_listener_address(const struct pt_listener *l);

/* pt_listener_accept returns 1, and *out is the caller's; 0: wait for the
 * descriptor again (which may still be readable); -errno: a stranger was
 * rejected, or the host is short of descriptors or memory; err names peer and
 * reason, and the listener continues. */
int pt_listener_accept(struct pt_listener *l, struct pt_conn **out,
		       struct pt_error *err);

#endif
