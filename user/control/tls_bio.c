/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The socket as OpenSSL sees it: never blocks, never raises SIGPIPE, and looks
 * at what a stranger sends before OpenSSL allocates for it. */
#include <errno.h>
#include <openssl/bio.h>
#include <string.h>
#include <sys/socket.h>

#include "control/tls_impl.h"

/* Record types (RFC 8446, 5.1). */
enum { CHANGE_CIPHER = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23 };

#define RECORD_HDR_SZ	5
#define CLIENT_HELLO	1

/* start_sz: how much of a record's start must be seen to judge it. */
static unsigned start_sz(const struct pt_tls_gate *g)
{
	bool is_long = g->start[0] == HANDSHAKE || g->start[0] == 0;

	return g->have_sz && is_long ? sizeof(g->start) : RECORD_HDR_SZ;
}

static int not_tls(struct pt_tls_stream *s)
{
	const __u8 *b = s->gate.start;

	if (s->gate.have_sz == sizeof(s->gate.start) && b[5] == PT_MSG_HELLO &&
	    b[8] == 'P')
		return pt_tls_why(s, -EPROTO, "speaks plaintext, we have a key "
				  "(give both ends --psk or --tls-cert, or "
				  "both --insecure)");
	return pt_tls_why(s, -EPROTO, "is not pagetrim (is the port right?)");
}

/* hello_fits: a stranger's hello, whole in its record and of modest size: what
 * OpenSSL will allocate for it is known. */
static bool hello_fits(const __u8 *b)
{
	unsigned record_sz = b[3] << 8 | b[4];
	unsigned hello_sz = b[6] << 16 | b[7] << 8 | b[8];

	return b[5] == CLIENT_HELLO && hello_sz + 4 == record_sz &&
	       record_sz <= PT_TLS_HELLO_SZ_MAX;
}

/* judge the start that has come: 0, or -errno. */
static int judge(struct pt_tls_stream *s)
{
	struct pt_tls_gate *g = &s->gate;
	const __u8 *b = g->start;
	bool from_client = s->tls->role == PT_ROLE_RECEIVER;

	if (b[0] < CHANGE_CIPHER || b[0] > DATA ||
	    (g->have_sz > 1 && b[1] != 3) ||
	    (g->is_first && from_client && b[0] != HANDSHAKE))
		/* A plaintext HELLO is worth waiting for: it gets a better
		 * answer. */
		return g->is_first && b[0] == 0 && g->have_sz < start_sz(g) ?
		       0 : not_tls(s);
	if (g->have_sz < start_sz(g))
		return 0;
	if (from_client && b[0] == HANDSHAKE && !hello_fits(b))
		return pt_tls_why(s, -EBADMSG, "sent a TLS hello that pagetrim "
				  "would not send");
	return 0;
}

/* take_start reads on at a record's start: 1 it is whole and sound, 0 wait,
 * -errno; *sz: what recv said. */
static int take_start(struct pt_tls_stream *s)
{
	struct pt_tls_gate *g = &s->gate;
	ssize_t sz;
	int ret;

	while (g->have_sz < start_sz(g)) {
		sz = recv(s->sock, g->start + g->have_sz,
			  start_sz(g) - g->have_sz, MSG_DONTWAIT);
		if (sz < 0 && errno == EINTR)
			continue;
		if (sz < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (!sz)
			return -EPIPE;
		g->have_sz += sz;
		ret = judge(s);
		if (ret)
			return ret;
	}
	g->is_first = false;
	g->given_sz = 0;
	g->body_sz = RECORD_HDR_SZ + (g->start[3] << 8 | g->start[4]) -
		     g->have_sz;
	/* Who has shown that it speaks TLS to us is judged by OpenSSL. */
	if (s->tls->role == PT_ROLE_SENDER || g->start[0] == DATA)
		g->is_strict = false;
	return 1;
}

int pt_tls_gate_open(struct pt_tls_stream *s)
{
	return take_start(s);
}

static ssize_t take_body(struct pt_tls_stream *s, void *buf, size_t sz)
{
	struct pt_tls_gate *g = &s->gate;
	size_t held = g->have_sz - g->given_sz;
	ssize_t ret;

	if (held) {
		sz = sz < held ? sz : held;
		memcpy(buf, g->start + g->given_sz, sz);
		g->given_sz += sz;
		ret = sz;
	} else {
		if (g->is_strict && sz > g->body_sz)
			sz = g->body_sz;
		do
			ret = recv(s->sock, buf, sz, MSG_DONTWAIT);
		while (ret < 0 && errno == EINTR);
		if (ret > 0 && g->is_strict)
			g->body_sz -= ret;
	}
	/* The next record's start is held back again. */
	if (g->is_strict && g->given_sz == g->have_sz && !g->body_sz)
		g->have_sz = g->given_sz = 0;
	return ret;
}

static int bio_read(BIO *bio, char *buf, int sz)
{
	struct pt_tls_stream *s = BIO_get_data(bio);
	ssize_t ret;

	BIO_clear_retry_flags(bio);
	if (s->gate.is_strict && s->gate.have_sz < start_sz(&s->gate)) {
		ret = take_start(s);
		if (ret == 0) {
			BIO_set_retry_read(bio);
			return -1;
		}
		if (ret < 0) {
			s->io_error = ret;
			return ret == -EPIPE ? 0 : -1;
		}
	}
	if (!s->is_done && !s->gate.left_sz) {
		s->io_error = pt_tls_why(s, -EBADMSG, "said too much in its "
					 "TLS handshake");
		return -1;
	}
	if (!s->is_done && (size_t)sz > s->gate.left_sz)
		sz = s->gate.left_sz;
	ret = take_body(s, buf, sz);
	if (ret > 0 && !s->is_done)
		s->gate.left_sz -= ret;
	if (ret < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_read(bio);
	else if (ret < 0)
		s->io_error = -errno;
	return ret;
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
