/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "tls/tls_stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls_impl.h"

struct pt_tls_stream *pt_tls_stream_open(struct pt_tls *tls, int sock,
					 const char *host,
					 pt_tls_is_plain *is_plain)
{
	struct pt_tls_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->tls = pt_tls_hold(tls);
	s->sock = sock;
	s->is_plain = is_plain;
	s->gate.is_first = s->gate.is_strict = true;
	s->gate.left_sz = PT_TLS_UNKNOWN_SZ_MAX;
	if (host) {
		s->host = strdup(host);
		if (!s->host) {
			pt_tls_close(tls);
			free(s);
			return NULL;
		}
	}
	return s;
}

void pt_tls_stream_close(struct pt_tls_stream *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	pt_tls_gate_close(&s->gate);
	free(s->peer_identity);
	free(s->host);
	pt_tls_close(s->tls);
	free(s);
}

static int start(struct pt_tls_stream *s)
{
	BIO *bio;

	ERR_clear_error();
	s->ssl = SSL_new(s->tls->ctx);
	bio = s->ssl ? BIO_new(s->tls->bio) : NULL;
	if (!bio)
		return -ENOMEM;
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_app_data(s->ssl, s);
	if (s->tls->role == PT_ROLE_SENDER)
		SSL_set_connect_state(s->ssl);
	else
		SSL_set_accept_state(s->ssl);
	return 0;
}

/* result of an SSL call that returned ret <= 0: 0 if the peer has closed,
 * -EAGAIN, or the failure. */
static int result(struct pt_tls_stream *s, int ret)
{
	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		s->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return s->io_error;
	}
	if (s->io_error)
		return s->io_error;
	if (ERR_GET_REASON(ERR_peek_error()) ==
	    SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return 0;
	return pt_tls_explain(s);
}

/* accept_peer checks both proofs once more after the handshake. */
static int accept_peer(struct pt_tls_stream *s)
{
	if (s->tls->has_psk ? !SSL_session_reused(s->ssl) :
	    SSL_get_verify_result(s->ssl) != X509_V_OK ||
	    !SSL_get0_peer_certificate(s->ssl))
		return pt_tls_why(s, -EKEYREJECTED, "did not show who it is");
	if (!s->tls->has_psk)
		pt_tls_name(SSL_get0_peer_certificate(s->ssl), s->peer_name);
	s->is_done = true;
	s->gate.is_strict = false;
	SSL_set_max_send_fragment(s->ssl, SSL3_RT_MAX_PLAIN_LENGTH);
	SSL_set_split_send_fragment(s->ssl, SSL3_RT_MAX_PLAIN_LENGTH);
	return 1;
}

int pt_tls_stream_handshake(struct pt_tls_stream *s)
{
	int ret;

	if (s->is_done)
		return 1;
	s->wants_write = false;
	if (!s->ssl) {
		if (s->tls->role == PT_ROLE_RECEIVER) {
			ret = pt_tls_gate_take(s);
			if (ret == -EPROTO || ret == -EBADMSG)
				pt_tls_alert(s->sock);
			if (ret <= 0)
				return ret;
		}
		ret = start(s);
		if (ret)
			return ret;
	}
	ERR_clear_error();
	ret = SSL_do_handshake(s->ssl);
	if (ret == 1)
		return accept_peer(s);
	ret = result(s, ret);
	if (ret == -EAGAIN)
		return 0;
	return ret ? : -EPIPE;
}

ssize_t pt_tls_stream_read(struct pt_tls_stream *s, void *buf, size_t sz)
{
	size_t got;
	int ret;

	ERR_clear_error();
	s->wants_write = false;
	ret = SSL_read_ex(s->ssl, buf, sz, &got);
	if (ret != 1)
		return result(s, ret);
	s->has_heard = true;
	return got;
}

/* last_words: a peer that refused us may have stated the reason before it cut
 * the connection into which we write. */
static int last_words(struct pt_tls_stream *s, int code)
{
	char byte;
	size_t got;
	int ret;

	if (s->has_heard || (code != -EPIPE && code != -ECONNRESET))
		return code;
	ERR_clear_error();
	s->io_error = 0;
	ret = SSL_peek_ex(s->ssl, &byte, 1, &got);
	if (ret != 1)
		ret = result(s, ret);
	return ret == -EKEYREJECTED ? ret : code;
}

ssize_t pt_tls_stream_write(struct pt_tls_stream *s, const void *buf,
			    size_t sz)
{
	size_t done;
	int ret;

	s->wants_write = false;
	/* Not in the middle of a record; the next call rekeys then. */
	if (s->since_rekey_sz >= PT_TLS_REKEY_SZ &&
	    SSL_key_update(s->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
		s->since_rekey_sz = 0;
	ERR_clear_error();
	ret = SSL_write_ex(s->ssl, buf, sz, &done);
	if (ret != 1)
		return last_words(s, result(s, ret) ? : -EPIPE);
	s->since_rekey_sz += done;
	return done;
}

void pt_tls_stream_shut(struct pt_tls_stream *s)
{
	ERR_clear_error();
	if (s->is_done)
		SSL_shutdown(s->ssl);
	ERR_clear_error();
}

bool pt_tls_stream_wants_write(const struct pt_tls_stream *s)
{
	return s->wants_write;
}

const char *pt_tls_stream_why(const struct pt_tls_stream *s)
{
	return s->why[0] ? s->why : NULL;
}

const char *pt_tls_stream_name(const struct pt_tls_stream *s)
{
	return s->peer_name;
}

const char *pt_tls_stream_identity(const struct pt_tls_stream *s)
{
	return s->psk ? s->psk->identity : s->peer_name;
}

int pt_tls_stream_export(struct pt_tls_stream *s, const char *label,
			 const void *context, size_t context_sz, void *out,
			 size_t out_sz)
{
	int ret;

	ERR_clear_error();
	ret = SSL_export_keying_material(s->ssl, out, out_sz, label,
					 strlen(label), context, context_sz, 1);
	return ret == 1 ? 0 : -EIO;
}
