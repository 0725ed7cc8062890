/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The name of a peer, which a CA of ours has signed. */
#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tls/tls_impl.h"

#define COMMON_NAME	"CN="

/* put copies the text if it can be a name: short and printable, so that two
 * names look different, too. */
static bool put(char *name, size_t room, const ASN1_STRING *text)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(text);
	int sz = ASN1_STRING_length(text);

	if (sz <= 0 || (size_t)sz >= room)
		return false;
	for (int i = 0; i < sz; i++) {
		if (bytes[i] < ' ' || bytes[i] > '~' || bytes[i] == '\'')
			return false;
		name[i] = bytes[i];
	}
	name[sz] = '\0';
	return true;
}

static bool put_ip(char name[PT_TLS_NAME_SZ], const ASN1_STRING *ip)
{
	int sz = ASN1_STRING_length(ip);

	return (sz == 4 || sz == 16) &&
	       inet_ntop(sz == 4 ? AF_INET : AF_INET6,
			 ASN1_STRING_get0_data(ip), name, PT_TLS_NAME_SZ);
}

static bool put_general(char name[PT_TLS_NAME_SZ], const GENERAL_NAME *general)
{
	switch (general->type) {
	case GEN_DNS:
		if (!put(name, PT_TLS_NAME_SZ, general->d.dNSName))
			return false;
		for (char *c = name; *c; c++)	/* DNS ignores case */
			*c = tolower(*c);
		return true;
	case GEN_URI:
		return put(name, PT_TLS_NAME_SZ,
			   general->d.uniformResourceIdentifier);
	case GEN_IPADD:
		return put_ip(name, general->d.iPAddress);
	default:
		return false;
	}
}

static bool put_alternative(char name[PT_TLS_NAME_SZ], X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name,
						NULL, NULL);
	bool is_put = false;

	for (int i = 0; !is_put && i < sk_GENERAL_NAME_num(names); i++)
		is_put = put_general(name, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
	return is_put;
}

static bool put_common(char name[PT_TLS_NAME_SZ], X509 *cert)
{
	const size_t before = strlen(COMMON_NAME);
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0)
		return false;
	memcpy(name, COMMON_NAME, before);
	return put(name + before, PT_TLS_NAME_SZ - before,
		   X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

void pt_tls_name(X509 *cert, char name[PT_TLS_NAME_SZ])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int sz = 0;

	if (put_alternative(name, cert) || put_common(name, cert))
		return;
	strcpy(name, "key ");
	if (X509_pubkey_digest(cert, EVP_sha256(), digest, &sz) != 1)
		return;
	for (unsigned int i = 0; i < sz; i++)
		sprintf(name + 4 + 2 * i, "%02x", digest[i]);
}
