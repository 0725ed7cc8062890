/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tls_impl: the internals of struct pt_tls, for tls*.c only. */
#ifndef TLS_TLS_IMPL_H
#define TLS_TLS_IMPL_H

#include <stdatomic.h>
#include <stdbool.h>

#include <openssl/ssl.h>

#include "tls/psk.h"
#include "tls/tls.h"
#include "tls/tls_stream.h"

/* Far below the limit of AES-GCM with one key (RFC 8446, 5.5: 2^24.5 records,
 * ours have up to 16 KiB). */
#define PT_TLS_REKEY_SZ	(1ULL << 36)	/* bytes */

struct pt_tls {
	atomic_uint owner_cnt;
	enum pt_role role;
	SSL_CTX *ctx;
	BIO_METHOD *bio;		/* tls_bio.c */
	bool has_psk;
	struct pt_psk_file psks;	/* if has_psk */
	__u8 no_key[PT_PSK_KEY_MIN];	/* random, for unknown identities */
	char *ca_path;			/* for messages */
	char *hostname;			/* or NULL */
	char *peers[PT_TLS_PEERS_MAX];
	__u32 peer_cnt;
};

/* pt_tls_why keeps the first reason of the stream's failure, for people, and
 * returns code. */
int pt_tls_why(struct pt_tls_stream *s, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- tls_bio.c: the socket's BIO for OpenSSL ---- */

/* pt_tls_gate: limits a peer's bytes until it is authenticated.  From a
 * stranger OpenSSL gets only whole records of modest size, so that it does not
 * keep a larger buffer of its own for a record that never ends.  The connecting
 * end only checks the first record's start. */
struct pt_tls_gate {
	__u8 start[PT_TLS_START_SZ];	/* of a record */
	__u8 *record;			/* record_sz bytes, with the start; NULL:
					 * its size is not known yet */
	size_t record_sz;
	size_t have_sz, given_sz;	/* bytes of start and record */
	bool is_first;			/* nothing was judged yet */
	bool is_strict;			/* the peer is a stranger */
	size_t left_sz;			/* bytes that it may still send, while
					 * strict */
};

BIO_METHOD *pt_tls_bio_method(void);	/* NULL: out of memory */

/* pt_tls_gate_take returns 1 if a stranger's next record is complete and sound,
 * 0 to wait, or -errno. */
int pt_tls_gate_take(struct pt_tls_stream *s);
void pt_tls_gate_close(struct pt_tls_gate *g);	/* frees its bytes */

/* ---- tls_load.c: our certificate ---- */

int pt_tls_load(struct pt_tls *t, const struct pt_tls_cfg *cfg,
		struct pt_error *err);

/* ---- tls_verify.c: the peer's certificate ---- */

int pt_tls_verify(X509_STORE_CTX *store, void *arg);	/* SSL_CTX's callback */

/* ---- tls_name.c: the name of a peer ---- */

void pt_tls_name(X509 *cert, char name[PT_TLS_NAME_SZ]);

/* ---- tls_error.c: errors as text for people ---- */

/* pt_tls_explain reads OpenSSL's error queue after a failed call, keeps the
 * reason and returns -errno. */
int pt_tls_explain(struct pt_tls_stream *s);

struct pt_tls_stream {
	struct pt_tls *tls;
	int sock;
	pt_tls_is_plain *is_plain;
	SSL *ssl;			/* NULL until a stranger's first bytes
					 * are sound */
	char *host;			/* the host that we connect to, or
					 * NULL */
	struct pt_tls_gate gate;
	bool is_done;			/* the handshake is done */
	bool has_heard;			/* the peer sent data after it, so it
					 * accepts us */
	bool wants_write;
	int io_error;			/* -errno of the socket, or 0 */
	char *peer_identity;		/* a foreign PSK identity, printable */
	const struct pt_psk *psk;	/* of the TLS's, that this one uses */
	char peer_name[PT_TLS_NAME_SZ];	/* see pt_tls_stream_name */
	__u64 since_rekey_sz;		/* bytes written with this key */
	char why[300];			/* the first reason; "": none yet */
};

#endif
