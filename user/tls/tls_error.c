/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Errors of TLS as text for people. */
#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

#include "tls/tls_impl.h"

int pt_tls_why(struct pt_tls_stream *s, int code, const char *fmt, ...)
{
	va_list args;

	if (s->why[0])
		return code;
	va_start(args, fmt);
	pt_error_vprint(s->why, sizeof(s->why), fmt, args);
	va_end(args);
	return code;
}

/* refused: the peer sent an alert, which does not state the reason. */
static int refused(struct pt_tls_stream *s)
{
	const char *side = s->tls->role == PT_ROLE_SENDER ? "{tls-peer}" :
			   "{tls-hostname}";
	char own[PT_ERROR_OWN_SZ];

	if (s->tls->has_psk)
		return pt_tls_why(s, -EKEYREJECTED, "refuses our pre-shared "
				  "key (the peer's key file must have it; its "
				  "log tells more)");
	return pt_tls_why(s, -EKEYREJECTED, "refuses our certificate (does it "
			  "trust our CA, is the certificate valid today, does "
			  "its %s name us? the peer's log tells)",
			  pt_error_own(own, side));
}

/* unmatched: a peer without a key of ours would have to be shown a certificate,
 * for which we have no method. */
static int unmatched(struct pt_tls_stream *s, int reason)
{
	if (s->tls->has_psk && (reason == SSL_R_NO_SHARED_CIPHER ||
				reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM))
		return pt_tls_why(s, -EKEYREJECTED, "shows no pre-shared key, "
				  "we want one (give both ends {psk}, or both "
				  "{tls-cert}, {tls-key} and {tls-ca})");
	return pt_tls_why(s, -EKEYREJECTED, "has no TLS 1.3 method in common "
			  "with us");
}

static int no_key(struct pt_tls_stream *s)
{
	const struct pt_psk_file *ours = &s->tls->psks;

	if (s->peer_identity && ours->cnt > 1)
		return pt_tls_why(s, -EKEYREJECTED, "its key's identity is "
				  "'%.64s', and none of our %u keys has it (add "
				  "that key to our key file)", s->peer_identity,
				  ours->cnt);
	if (s->peer_identity)
		return pt_tls_why(s, -EKEYREJECTED, "its key's identity is "
				  "'%.64s', ours is '%.64s' (copy the same key "
				  "file to both hosts)", s->peer_identity,
				  ours->all[0].identity);
	return pt_tls_why(s, -EKEYREJECTED, "its pre-shared key is not ours, "
			  "though both are called '%.64s' (copy the same key "
			  "file to both hosts)",
			  s->psk ? s->psk->identity : ours->all[0].identity);
}

int pt_tls_explain(struct pt_tls_stream *s)
{
	unsigned long e = ERR_peek_last_error();
	int reason = ERR_GET_REASON(e);

	if (ERR_GET_LIB(e) != ERR_LIB_SSL)
		return pt_tls_why(s, -EBADMSG, "TLS failed: %s",
				  ERR_reason_error_string(e) ? : "unknown");
	if (reason >= SSL_AD_REASON_OFFSET &&
	    reason < SSL_AD_REASON_OFFSET + 256 && !s->has_heard)
		return refused(s);
	switch (reason) {
	case SSL_R_BINDER_DOES_NOT_VERIFY:
		return no_key(s);
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
		return unmatched(s, reason);
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return pt_tls_why(s, -EKEYREJECTED, "shows no certificate "
				  "(start it with {tls-cert} and {tls-key})");
	case SSL_R_CERTIFICATE_VERIFY_FAILED:	/* tls_verify.c knows why */
		return -EKEYREJECTED;
	default:
		return pt_tls_why(s, -EBADMSG, "TLS failed: %s",
				  ERR_reason_error_string(e) ? : "unknown");
	}
}
