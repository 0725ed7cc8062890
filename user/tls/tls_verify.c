/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Verifies the peer's certificate: its CA, its time, its name. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tls/tls_impl.h"

static bool is_ip(const char *name)
{
	struct in6_addr ip;

	return inet_pton(AF_INET, name, &ip) == 1 ||
	       inet_pton(AF_INET6, name, &ip) == 1;
}

static bool has_name(X509 *cert, const char *name)
{
	const unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
			       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	if (is_ip(name))
		return X509_check_ip_asc(cert, name, 0) == 1;
	return X509_check_host(cert, name, strlen(name), flags, NULL) == 1;
}

static int check_name(struct pt_tls_stream *s, X509 *cert)
{
	const struct pt_tls *t = s->tls;
	const char *host = t->hostname ? t->hostname : s->host;

	if (t->role == PT_ROLE_SENDER) {
		if (host && has_name(cert, host))
			return 0;
		return pt_tls_why(s, -EKEYREJECTED, "its certificate is not "
				  "for '%.100s' (give it one with that subject "
				  "alternative name, or say {tls-hostname} "
				  "NAME here)", host ? host : "");
	}
	for (__u32 i = 0; i < t->peer_cnt; i++)
		if (has_name(cert, t->peers[i]))
			return 0;
	if (!t->peer_cnt)
		return 0;
	return pt_tls_why(s, -EKEYREJECTED, "its certificate has none of the "
			  "names that {tls-peer} allows (as a subject "
			  "alternative name)");
}

static int explain(struct pt_tls_stream *s, X509_STORE_CTX *store)
{
	int error = X509_STORE_CTX_get_error(store);

	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return pt_tls_why(s, -EKEYREJECTED, "its certificate has "
				  "expired, or its CA's (renew it; is the "
				  "clock of this host right?)");
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return pt_tls_why(s, -EKEYREJECTED, "its certificate is not "
				  "valid yet, or its CA's (is the clock of "
				  "this host right?)");
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return pt_tls_why(s, -EKEYREJECTED, "its certificate is not "
				  "signed by a CA in %.100s (give {tls-ca} the "
				  "CA that signed it)", s->tls->ca_path);
	case X509_V_ERR_INVALID_PURPOSE:
		return pt_tls_why(s, -EKEYREJECTED, "its certificate is not "
				  "for a TLS %s (extended key usage)",
				  s->tls->role == PT_ROLE_SENDER ? "server" :
				  "client");
	default:
		return pt_tls_why(s, -EKEYREJECTED, "its certificate is "
				  "refused: %s",
				  X509_verify_cert_error_string(error));
	}
}

int pt_tls_verify(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store,
				SSL_get_ex_data_X509_STORE_CTX_idx());
	struct pt_tls_stream *s = SSL_get_app_data(ssl);
	int ret;

	(void)arg;
	if (s->tls->has_psk)
		ret = pt_tls_why(s, -EKEYREJECTED, "wants certificates, we "
				 "have a pre-shared key (give both ends {psk}, "
				 "or both {tls-cert}, {tls-key} and {tls-ca})");
	else if (X509_verify_cert(store) != 1)
		ret = explain(s, store);
	else
		ret = check_name(s, X509_STORE_CTX_get0_cert(store));
	if (!ret)
		return 1;
	/* One alert for all failures, so that a stranger does not learn which
	 * check failed. */
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}
