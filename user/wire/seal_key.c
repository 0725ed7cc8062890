// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire/seal_key.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include <pagetrim/check.h>

/* As libcrypto knows them. */
static const char *const names[] = {
	[PT_CIPHER_AES_128_GCM] = "AES-128-GCM",
	[PT_CIPHER_AES_256_GCM] = "AES-256-GCM",
	[PT_CIPHER_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
};

int pt_seal_algorithms_open(struct pt_seal_algorithms *a,
			    enum pt_cipher cipher)
{
	EVP_KDF *hkdf;

	pt_check(cipher > PT_CIPHER_NONE && cipher <= PT_CIPHER_MAX);
	a->key_sz = pt_cipher_key_sz(cipher);
	a->aead = EVP_CIPHER_fetch(NULL, names[cipher], NULL);
	if (!a->aead)
		return -ENOTSUP;
	hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	if (!hkdf) {
		EVP_CIPHER_free(a->aead);
		return -ENOTSUP;
	}
	a->hkdf = EVP_KDF_CTX_new(hkdf);
	EVP_KDF_free(hkdf);	/* the context holds it */
	if (!a->hkdf) {
		EVP_CIPHER_free(a->aead);
		return -ENOMEM;
	}
	return 0;
}

void pt_seal_algorithms_close(struct pt_seal_algorithms *a)
{
	EVP_KDF_CTX_free(a->hkdf);
	EVP_CIPHER_free(a->aead);
}

bool pt_seal_expand(const struct pt_seal_algorithms *a,
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

	ok = EVP_KDF_derive(a->hkdf, out, sz, params);
	EVP_KDF_CTX_reset(a->hkdf);	/* wipes its copy of the secret */
	return ok == 1;
}

int pt_seal_key_init(struct pt_seal_key *k)
{
	k->ctx = EVP_CIPHER_CTX_new();
	return k->ctx ? 0 : -ENOMEM;
}

void pt_seal_key_wipe(struct pt_seal_key *k)
{
	EVP_CIPHER_CTX_free(k->ctx);	/* wipes the key in it */
	OPENSSL_cleanse(k, sizeof(*k));
}

bool pt_seal_key_set(struct pt_seal_key *k, const struct pt_seal_algorithms *a,
		     const __u8 secret[PT_SEAL_SECRET_SZ], __u64 epoch)
{
	__u8 key[PT_CIPHER_KEY_SZ_MAX];

	k->is_set = pt_seal_expand(a, secret, "pagetrim key", key, a->key_sz) &&
		    pt_seal_expand(a, secret, "pagetrim iv", k->iv,
				   sizeof(k->iv)) &&
		    EVP_EncryptInit_ex2(k->ctx, a->aead, key, NULL, NULL) == 1;
	k->epoch = epoch;
	OPENSSL_cleanse(key, sizeof(key));
	return k->is_set;
}

void pt_seal_key_forget(struct pt_seal_key *k)
{
	EVP_CIPHER_CTX_reset(k->ctx);	/* wipes the key in it */
	k->is_set = false;
}

void pt_seal_key_start(struct pt_seal_key *k, bool is_sending,
		       enum pt_frame_kind kind, __u64 seq,
		       const struct pt_span *clear, unsigned int clear_cnt)
{
	struct {
		__be32	kind;
		__be64	seq;
	} __attribute__((packed)) number = { htobe32(kind), htobe64(seq) };
	__u8 nonce[PT_SEAL_IV_SZ];
	int sz;

	_Static_assert(sizeof(number) == sizeof(nonce), "nonce");
	memcpy(nonce, &number, sizeof(nonce));
	for (unsigned int i = 0; i < sizeof(nonce); i++)
		nonce[i] ^= k->iv[i];
	pt_check(EVP_CipherInit_ex2(k->ctx, NULL, NULL, nonce, is_sending,
				    NULL) == 1);
	for (unsigned int i = 0; i < clear_cnt; i++)
		pt_check(EVP_CipherUpdate(k->ctx, NULL, &sz, clear[i].base,
					  clear[i].sz) == 1);
}
