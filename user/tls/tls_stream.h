/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tls_stream: TLS on one socket that does not block; for conn alone.
 *
 * Nothing waits here: -EAGAIN means "when the socket is readable", and also
 * when it is writable if pt_tls_stream_wants_write.  After a read of -EAGAIN
 * nothing that came is left inside.
 * A stranger (who listens has no other before the handshake is done) costs
 * less than PT_TLS_STRANGER_SZ bytes of memory: nothing is allocated for OpenSSL
 * before a whole TLS hello of modest size has come.
 * Threads: one at a time; the connection's lock sees to it.
 *
 * Failures, with a reason for a person (pt_tls_stream_why):
 *   -EKEYREJECTED  the key, the certificate or the name of one side
 *   -EPROTO        what came is not TLS
 *   -EBADMSG       TLS, but broken, or more than a stranger may say
 *   -ENOMEM
 *   or as the socket said, without a reason
 */
#ifndef TLS_TLS_STREAM_H
#define TLS_TLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tls/tls.h"

#define PT_TLS_STRANGER_SZ	(64u * 1024)	/* bytes */
#define PT_TLS_FRAGMENT_SZ	4096u	/* of a record in a handshake */
#define PT_TLS_RECORD_SZ_MAX	(PT_TLS_FRAGMENT_SZ + 256 + 5)
#define PT_TLS_UNKNOWN_SZ_MAX	32768u	/* all that comes in a handshake */

struct pt_tls_stream;

#define PT_TLS_START_SZ		9	/* bytes of a record that are judged */

/* pt_tls_is_plain: start, of PT_TLS_START_SZ bytes, is what a peer without TLS
 * begins with. */
typedef bool pt_tls_is_plain(const void *start);

/* pt_tls_stream_open: tls and sock stay the caller's and must outlive it.
 * host: whom we connect to (listening: NULL).  NULL: out of memory. */
struct pt_tls_stream *pt_tls_stream_open(struct pt_tls *tls, int sock,
					 const char *host,
					 pt_tls_is_plain *is_plain);
void pt_tls_stream_close(struct pt_tls_stream *s);	/* NULL is allowed */

/* pt_tls_stream_handshake: 1 it is done and the peer is who it must be, 0 wait,
 * or -errno, and the peer was told that it failed, not why. */
int pt_tls_stream_handshake(struct pt_tls_stream *s);

/* As read(2) and write(2), after the handshake.  A write of -EAGAIN must be
 * repeated with at least the same bytes. */
ssize_t pt_tls_stream_read(struct pt_tls_stream *s, void *buf, size_t sz);
ssize_t pt_tls_stream_write(struct pt_tls_stream *s, const void *buf,
			    size_t sz);

/* pt_tls_stream_shut says that we write no more, if it can at once. */
void pt_tls_stream_shut(struct pt_tls_stream *s);

bool pt_tls_stream_wants_write(const struct pt_tls_stream *s);

/* pt_tls_stream_why: the reason of a failure, or NULL: errno says it. */
const char *pt_tls_stream_why(const struct pt_tls_stream *s);

/* pt_tls_stream_name: by what name a certificate goes, once the handshake is done: the
 * first of its subject alternative names that is of a kind we know; if it has none,
 * its common name after "CN=", or what else tells it apart.  Printable ASCII.  "":
 * the peer has a pre-shared key. */
const char *pt_tls_stream_name(const struct pt_tls_stream *s);

/* pt_tls_stream_export: keying material (RFC 8446, 7.5).  0 or -EIO. */
int pt_tls_stream_export(struct pt_tls_stream *s, const char *label,
			 const void *context, size_t context_sz, void *out,
			 size_t out_sz);

/* The start of every refusal: a fatal TLS alert that says "handshake failure"
 * to whom it may concern, in clear. */
void pt_tls_alert(int sock);

#endif
