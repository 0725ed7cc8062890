/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The socket's BIO for OpenSSL: it never blocks, never raises SIGPIPE, and
 * checks a stranger's records before OpenSSL allocates memory for them. */
#include <errno.h>
#include <openssl/bio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tls/tls_impl.h"

/* Record types (RFC 8446, 5.1). */
enum { CHANGE_CIPHER = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23 };

#define RECORD_HDR_SZ	5
#define CLIENT_HELLO	1

/* start_sz returns how many bytes of a record's start are needed to judge
 * it. */
static unsigned start_sz(const struct pt_tls_gate *g)
{
	bool is_long = g->start[0] == HANDSHAKE || g->start[0] == 0;

	return g->have_sz && is_long ? sizeof(g->start) : RECORD_HDR_SZ;
}

static int not_tls(struct pt_tls_stream *s)
{
	const struct pt_tls_gate *g = &s->gate;

	if (g->have_sz == sizeof(g->start) && s->is_plain(g->start))
		return pt_tls_why(s, -EPROTO, "speaks plaintext, we have a key "
				  "(give both ends {psk} or {tls-cert}, or "
				  "both {insecure})");
	return pt_tls_why(s, -EPROTO, "is not pagetrim (is the port right?)");
}

/* hello_fits: a stranger's hello is whole in its record, so OpenSSL's
 * allocation is bounded. */
static bool hello_fits(const __u8 *b)
{
	unsigned fragment_sz = b[3] << 8 | b[4];
	unsigned hello_sz = b[6] << 16 | b[7] << 8 | b[8];

	return b[5] == CLIENT_HELLO && hello_sz + 4 == fragment_sz;
}

static size_t record_sz(const __u8 *b)
{
	return RECORD_HDR_SZ + (b[3] << 8 | b[4]);
}

/* judge checks the start of a record; returns 0, or -errno. */
static int judge(struct pt_tls_stream *s)
{
	struct pt_tls_gate *g = &s->gate;
	const __u8 *b = g->start;
	bool from_client = s->tls->role == PT_ROLE_RECEIVER;

	if (b[0] < CHANGE_CIPHER || b[0] > DATA ||
	    (g->have_sz > 1 && b[1] != 3) ||
	    (g->is_first && from_client && b[0] != HANDSHAKE))
		/* Wait for all of a plaintext HELLO, which gets a better
		 * answer. */
		return g->is_first && b[0] == 0 && g->have_sz < start_sz(g) ?
		       0 : not_tls(s);
	if (g->have_sz < start_sz(g))
		return 0;
	if (from_client && (record_sz(b) > PT_TLS_RECORD_SZ_MAX ||
			    (b[0] == HANDSHAKE && !hello_fits(b))))
		return pt_tls_why(s, -EBADMSG, "sent a TLS hello that pagetrim "
				  "would not send");
	return 0;
}

/* take reads up to sz further bytes of the record; returns 1, 0 to wait, or
 * -errno. */
static int take(struct pt_tls_stream *s, __u8 *at, size_t sz)
{
	struct pt_tls_gate *g = &s->gate;
	ssize_t ret;

	if (sz > g->left_sz)
		return pt_tls_why(s, -EBADMSG, "said too much in its TLS "
				  "handshake");
	do
		ret = recv(s->sock, at, sz, MSG_DONTWAIT);
	while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	if (!ret)
		return -EPIPE;
	g->have_sz += ret;
	g->left_sz -= ret;
	return 1;
}

/* take_start reads the start of a record and judges it on arrival. */
static int take_start(struct pt_tls_stream *s)
{
	struct pt_tls_gate *g = &s->gate;
	int ret;

	while (g->have_sz < start_sz(g)) {
		ret = take(s, g->start + g->have_sz,
			   start_sz(g) - g->have_sz);
		if (ret > 0)
			ret = judge(s) ? : 1;
		if (ret <= 0)
			return ret;
	}
	g->is_first = false;
	return 1;
}

int pt_tls_gate_take(struct pt_tls_stream *s)
{
	struct pt_tls_gate *g = &s->gate;
	int ret = 1;

	if (!g->record) {
		ret = take_start(s);
		if (ret <= 0 || s->tls->role == PT_ROLE_SENDER)
			return ret;
		g->record_sz = record_sz(g->start);
		g->record = malloc(g->record_sz);
		if (!g->record)
			return -ENOMEM;
		memcpy(g->record, g->start, g->have_sz);
	}
	while (ret > 0 && g->have_sz < g->record_sz)
		ret = take(s, g->record + g->have_sz,
			   g->record_sz - g->have_sz);
	return ret;
}

void pt_tls_gate_close(struct pt_tls_gate *g)
{
	free(g->record);
	g->record = NULL;
	g->have_sz = g->given_sz = 0;
}

/* give hands out the bytes that were held back. */
static int give(struct pt_tls_gate *g, char *buf, int sz)
{
	const __u8 *held = g->record ? g->record : g->start;

	if ((size_t)sz > g->have_sz - g->given_sz)
		sz = g->have_sz - g->given_sz;
	memcpy(buf, held + g->given_sz, sz);
	g->given_sz += sz;
	if (g->given_sz == g->have_sz)
		pt_tls_gate_close(g);
	return sz;
}

/* gate_read works as recv for the bytes that pass the gate; -errno, 0:
 * closed. */
static int gate_read(struct pt_tls_stream *s, char *buf, int sz)
{
	struct pt_tls_gate *g = &s->gate;
	int ret;

	if (g->is_strict && !g->given_sz) {
		ret = pt_tls_gate_take(s);
		if (ret <= 0)
			return ret == 0 ? -EAGAIN : ret == -EPIPE ? 0 : ret;
		/* A peer to which we connected is no stranger from here on. */
		if (s->tls->role == PT_ROLE_SENDER)
			g->is_strict = false;
	}
	if (g->have_sz)
		return give(g, buf, sz);
	do
		ret = recv(s->sock, buf, sz, MSG_DONTWAIT);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static int bio_read(BIO *bio, char *buf, int sz)
{
	struct pt_tls_stream *s = BIO_get_data(bio);
	int ret = gate_read(s, buf, sz);

	BIO_clear_retry_flags(bio);
	if (ret == -EAGAIN || ret == -EWOULDBLOCK)
		BIO_set_retry_read(bio);
	else if (ret < 0)
		s->io_error = ret;
	return ret < 0 ? -1 : ret;
}

static int bio_write(BIO *bio, const char *buf, int sz)
{
	struct pt_tls_stream *s = BIO_get_data(bio);
	ssize_t ret;

	BIO_clear_retry_flags(bio);
	do
		ret = send(s->sock, buf, sz, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (ret < 0 && errno == EINTR);
	if (ret < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_write(bio);
	else if (ret < 0)
		s->io_error = -errno;
	return ret;
}

static long bio_ctrl(BIO *bio, int command, long arg, void *ptr)
{
	(void)bio;
	(void)arg;
	(void)ptr;
	return command == BIO_CTRL_FLUSH;	/* nothing is held back */
}

BIO_METHOD *pt_tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() |
				     BIO_TYPE_SOURCE_SINK, "pagetrim socket");

	if (m && BIO_meth_set_read(m, bio_read) &&
	    BIO_meth_set_write(m, bio_write) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

void pt_tls_alert(int sock)
{
	static const __u8 alert[] = { ALERT, 3, 3, 0, 2, 2,
				      SSL_AD_HANDSHAKE_FAILURE };

	(void)!send(sock, alert, sizeof(alert), MSG_NOSIGNAL | MSG_DONTWAIT);
}
