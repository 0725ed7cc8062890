// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "seal/seal_key.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include <pagetrim/check.h>

int pt_seal_kdf_open(struct pt_seal_kdf *kdf, enum pt_cipher cipher)
{
	EVP_KDF *hkdf;

	pt_check(cipher > PT_CIPHER_NONE && cipher <= PT_CIPHER_MAX);
	kdf->key_sz = pt_cipher_key_sz(cipher);
	hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	if (!hkdf)
		return -ENOTSUP;
	kdf->hkdf = EVP_KDF_CTX_new(hkdf);
	EVP_KDF_free(hkdf);	/* the context holds it */
	return kdf->hkdf ? 0 : -ENOMEM;
}

void pt_seal_kdf_close(struct pt_seal_kdf *kdf)
{
	EVP_KDF_CTX_free(kdf->hkdf);
}

bool pt_seal_expand(const struct pt_seal_kdf *kdf,
		    const __u8 secret[PT_SEAL_SECRET_SZ], const char *label,
		    __u8 *out, size_t sz)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY, ok;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret,
					PT_SEAL_SECRET_SZ),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)label,
					strlen(label)),
		OSSL_PARAM_END,
	};

	ok = EVP_KDF_derive(kdf->hkdf, out, sz, params);
	EVP_KDF_CTX_reset(kdf->hkdf);	/* wipes its copy of the secret */
	return ok == 1;
}

void pt_seal_key_wipe(struct pt_seal_key *k)
{
	pt_aead_key_destroy(k->aead);
	OPENSSL_cleanse(k, sizeof(*k));
}

bool pt_seal_key_set(struct pt_seal_key *k, const struct pt_seal_kdf *kdf,
		     const __u8 secret[PT_SEAL_SECRET_SZ], __u64 epoch)
{
	__u8 key[PT_CIPHER_KEY_SZ_MAX];

	k->is_set = pt_seal_expand(kdf, secret, "pagetrim key", key,
				   kdf->key_sz) &&
		    pt_seal_expand(kdf, secret, "pagetrim iv", k->iv,
				   sizeof(k->iv)) &&
		    pt_aead_key_set(k->aead, key);
	k->epoch = epoch;
	OPENSSL_cleanse(key, sizeof(key));
	return k->is_set;
}

void pt_seal_key_forget(struct pt_seal_key *k)
{
	pt_aead_key_forget(k->aead);
	k->is_set = false;
}

void pt_seal_key_start(struct pt_seal_key *k, bool is_sending,
		       enum pt_frame_kind kind, __u64 seq,
		       struct pt_span clear)
{
	struct {
		__be32	kind;
		__be64	seq;
	} __attribute__((packed)) number = { htobe32(kind), htobe64(seq) };
	__u8 nonce[PT_AEAD_NONCE_SZ];

	_Static_assert(sizeof(number) == sizeof(nonce), "nonce");
	memcpy(nonce, &number, sizeof(nonce));
	for (unsigned int i = 0; i < sizeof(nonce); i++)
		nonce[i] ^= k->iv[i];
	pt_aead_start(k->aead, is_sending, nonce, clear);
}
