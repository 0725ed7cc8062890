/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tls_stream: TLS on one non-blocking socket, for conn only.
 *
 * No call waits: -EAGAIN means to retry when the socket is readable, or also
 * when it is writable if pt_tls_stream_wants_write.  After a read of -EAGAIN no
 * received bytes are left inside.  A stranger costs less than
 * PT_TLS_STRANGER_SZ bytes of memory: nothing is allocated for OpenSSL before a
 * whole TLS hello of modest size has come.  For the listening end every peer is
 * a stranger until the handshake is done.  Threads: one at a time, by the
 * connection's lock.
 *
 * Failures, with a reason for people (pt_tls_stream_why):
 *   -EKEYREJECTED  the key, the certificate or the name of one side
 *   -EPROTO        the bytes are not TLS
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
#define PT_TLS_UNKNOWN_SZ_MAX	32768u	/* all bytes of a handshake */

struct pt_tls_stream;

#define PT_TLS_START_SZ		9	/* bytes of a record that are judged */

/* pt_tls_is_plain: start, of PT_TLS_START_SZ bytes, comes from a peer without
 * TLS. */
typedef bool pt_tls_is_plain(const void *start);

/* pt_tls_stream_open: The caller owns sock, which must outlive it; it holds tls.
 * host: the host that we connect to (listening: NULL).  NULL: out of memory. */
struct pt_tls_stream *pt_tls_stream_open(struct pt_tls *tls, int sock,
					 const char *host,
					 pt_tls_is_plain *is_plain);
void pt_tls_stream_close(struct pt_tls_stream *s);	/* NULL is allowed */

/* pt_tls_stream_handshake returns 1 when it is done and the peer is
 * authenticated, 0 to wait, or -errno.  The peer then learns that it failed,
 * but not why. */
int pt_tls_stream_handshake(struct pt_tls_stream *s);

/* Work as read(2) and write(2), after the handshake.  A write of -EAGAIN must
 * be repeated with at least the same bytes. */
ssize_t pt_tls_stream_read(struct pt_tls_stream *s, void *buf, size_t sz);
ssize_t pt_tls_stream_write(struct pt_tls_stream *s, const void *buf,
			    size_t sz);

/* pt_tls_stream_shut sends the end of our data (close_notify), if it can at
 * once. */
void pt_tls_stream_shut(struct pt_tls_stream *s);

bool pt_tls_stream_wants_write(const struct pt_tls_stream *s);

/* pt_tls_stream_why returns the reason of a failure, or NULL if errno is the
 * reason. */
const char *pt_tls_stream_why(const struct pt_tls_stream *s);

/* pt_tls_stream_name returns the name in the peer's certificate, after the
 * handshake: the first subject alternative name of a known kind; if there is
 * none, its common name after "CN=", or else the hash of its key.  Printable
 * ASCII.  "": the peer has a pre-shared key. */
const char *pt_tls_stream_name(const struct pt_tls_stream *s);

/* pt_tls_stream_identity returns that name or, of a peer with a pre-shared key,
 * the key's identity. */
const char *pt_tls_stream_identity(const struct pt_tls_stream *s);

/* pt_tls_stream_export: keying material (RFC 8446, 7.5).  0 or -EIO. */
int pt_tls_stream_export(struct pt_tls_stream *s, const char *label,
			 const void *context, size_t context_sz, void *out,
			 size_t out_sz);

/* The start of every refusal: a fatal TLS alert "handshake failure", in
 * clear. */
void pt_tls_alert(int sock);

#endif
