/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tls/tls_impl.h"
#include <pagetrim/check.h>

#define PSK_SUITE	"TLS_AES_128_GCM_SHA256"
/* A stranger's hello costs one key exchange: P-384 takes four times as long. */
#define GROUPS		"X25519:P-256"
#define CHAIN_SZ_MAX	12288	/* bytes of a peer's certificates */

static int no_memory(struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "out of memory");
}

/* ---- pre-shared key ---- */

/* session_of returns a TLS session that proves key, which the caller owns, or
 * NULL. */
static SSL_SESSION *session_of(SSL *ssl, const __u8 *key, size_t key_sz)
{
	static const unsigned char suite[] = { 0x13, 0x01 };	/* PSK_SUITE */
	SSL_SESSION *session = SSL_SESSION_new();

	if (session && SSL_SESSION_set1_master_key(session, key, key_sz) &&
	    SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suite)) &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int psk_use(SSL *ssl, const EVP_MD *md, const unsigned char **id,
		   size_t *id_sz, SSL_SESSION **session)
{
	struct pt_tls_stream *s = SSL_get_app_data(ssl);
	const struct pt_psk *psk = &s->tls->psks.all[0];

	*session = NULL;
	s->psk = psk;
	if (md && !EVP_MD_is_a(md, "SHA256"))
		return 1;	/* the peer chose another hash than the key's */
	*session = session_of(ssl, psk->key, psk->key_sz);
	*id = (const unsigned char *)psk->identity;
	*id_sz = strlen(psk->identity);
	return *session != NULL;
}

/* keep_identity keeps the name of a stranger's key, for our log. */
static void keep_identity(struct pt_tls_stream *s, const unsigned char *id,
			  size_t id_sz)
{
	size_t sz = id_sz < 64 ? id_sz : 64;

	if (s->peer_identity)
		return;
	s->peer_identity = malloc(sz + 1);
	if (!s->peer_identity)
		return;
	for (size_t i = 0; i < sz; i++)
		s->peer_identity[i] = id[i] >= ' ' && id[i] <= '~' ? id[i] :
				      '?';
	s->peer_identity[sz] = '\0';
}

/* psk_find: an unknown identity continues with a random key, so that a stranger
 * cannot distinguish it from a known identity with a wrong key. */
static int psk_find(SSL *ssl, const unsigned char *id, size_t id_sz,
		    SSL_SESSION **session)
{
	struct pt_tls_stream *s = SSL_get_app_data(ssl);
	const struct pt_psk *psk = pt_psk_find(&s->tls->psks, id, id_sz);

	s->psk = psk;
	if (!psk)
		keep_identity(s, id, id_sz);
	*session = session_of(ssl, psk ? psk->key : s->tls->no_key,
			      psk ? psk->key_sz : sizeof(s->tls->no_key));
	return *session != NULL;
}

static int psk_setup(struct pt_tls *t, const struct pt_tls_cfg *cfg,
		     struct pt_error *err)
{
	int ret = pt_psk_load(&t->psks, cfg->psk_path, err);

	if (ret)
		return ret;
	t->has_psk = true;
	if (RAND_priv_bytes(t->no_key, sizeof(t->no_key)) != 1)
		return pt_error_set(err, PT_EXIT_HOST, -EIO, "OpenSSL: no "
				    "random bytes (is /dev/urandom there?)");
	if (SSL_CTX_set_ciphersuites(t->ctx, PSK_SUITE) != 1)
		return no_memory(err);
	if (t->role == PT_ROLE_SENDER) {
		SSL_CTX_set_psk_use_session_callback(t->ctx, psk_use);
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	} else {
		SSL_CTX_set_psk_find_session_callback(t->ctx, psk_find);
	}
	return 0;
}

/* ---- all connections ---- */

static int ctx_setup(struct pt_tls *t, struct pt_error *err)
{
	ERR_clear_error();
	t->bio = pt_tls_bio_method();
	t->ctx = SSL_CTX_new(t->role == PT_ROLE_SENDER ? TLS_client_method() :
			     TLS_server_method());
	if (!t->bio || !t->ctx) {
		const char *why = ERR_reason_error_string(ERR_peek_last_error());

		return pt_error_set(err, PT_EXIT_HOST, -ENOTSUP, "OpenSSL "
				    "cannot begin: %s (memory, or openssl.cnf)",
				    why ? why : "unknown");
	}
	SSL_CTX_set_security_level(t->ctx, 2);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
			    SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
			 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			 SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_max_cert_list(t->ctx, CHAIN_SZ_MAX);
	SSL_CTX_set_cert_verify_callback(t->ctx, pt_tls_verify, NULL);
	if (SSL_CTX_set_min_proto_version(t->ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(t->ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(t->ctx, GROUPS) != 1 ||
	    SSL_CTX_set_max_send_fragment(t->ctx, PT_TLS_FRAGMENT_SZ) != 1 ||
	    SSL_CTX_set_num_tickets(t->ctx, 0) != 1)
		return pt_error_set(err, PT_EXIT_HOST, -ENOTSUP, "OpenSSL "
				    "offers no TLS 1.3 here (is it switched "
				    "off in openssl.cnf?)");
	return 0;
}

static int names_copy(struct pt_tls *t, const struct pt_tls_cfg *cfg,
		      struct pt_error *err)
{
	if (cfg->ca_path && !(t->ca_path = strdup(cfg->ca_path)))
		return no_memory(err);
	if (cfg->hostname && !(t->hostname = strdup(cfg->hostname)))
		return no_memory(err);
	for (; t->peer_cnt < cfg->peer_cnt; t->peer_cnt++) {
		t->peers[t->peer_cnt] = strdup(cfg->peers[t->peer_cnt]);
		if (!t->peers[t->peer_cnt])
			return no_memory(err);
	}
	return 0;
}

static int check_cfg(const struct pt_tls_cfg *cfg, struct pt_error *err)
{
	bool any = cfg->cert_path || cfg->key_path || cfg->ca_path;
	bool all = cfg->cert_path && cfg->key_path && cfg->ca_path;

	pt_check(cfg->peer_cnt <= PT_TLS_PEERS_MAX);
	if (cfg->psk_path ? !any : all)
		return 0;
	return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, cfg->psk_path ?
			    "{psk} and certificates exclude each other" :
			    "{tls-cert}, {tls-key} and {tls-ca} go together");
}

int pt_tls_open(struct pt_tls **out, enum pt_role role,
		const struct pt_tls_cfg *cfg, struct pt_error *err)
{
	struct pt_tls *t;
	int ret = check_cfg(cfg, err);

	if (ret)
		return ret;
	t = pt_secret_alloc(sizeof(*t));
	if (!t)
		return no_memory(err);
	atomic_init(&t->owner_cnt, 1);
	t->role = role;
	ret = names_copy(t, cfg, err);
	if (!ret)
		ret = ctx_setup(t, err);
	if (!ret)
		ret = cfg->psk_path ? psk_setup(t, cfg, err) :
				      pt_tls_load(t, cfg, err);
	if (ret) {
		pt_tls_close(t);
		return ret;
	}
	*out = t;
	return 0;
}

struct pt_tls *pt_tls_hold(struct pt_tls *t)
{
	if (t)
		atomic_fetch_add(&t->owner_cnt, 1);
	return t;
}

void pt_tls_close(struct pt_tls *t)
{
	if (!t || atomic_fetch_sub(&t->owner_cnt, 1) > 1)
		return;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->bio);
	free(t->ca_path);
	free(t->hostname);
	while (t->peer_cnt)
		free(t->peers[--t->peer_cnt]);
	pt_secret_free(t, sizeof(*t));
}
