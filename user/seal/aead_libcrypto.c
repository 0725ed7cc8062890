// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "seal/aead_libs.h"

#include <errno.h>
#include <stdlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <pagetrim/check.h>

struct key {
	struct pt_aead_key head;
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *ctx;	/* has the key */
};

/* The ciphers' names in libcrypto. */
static const char *const names[] = {
	[PT_CIPHER_AES_128_GCM] = "AES-128-GCM",
	[PT_CIPHER_AES_256_GCM] = "AES-256-GCM",
	[PT_CIPHER_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
};

static struct key *key_of(struct pt_aead_key *k)
{
	return (struct key *)k;
}

static const char *version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

static bool has(enum pt_cipher cipher)
{
	return cipher != PT_CIPHER_NONE;
}

static void destroy(struct pt_aead_key *k)
{
	EVP_CIPHER_CTX_free(key_of(k)->ctx);	/* wipes the key in it */
	EVP_CIPHER_free(key_of(k)->cipher);
	free(k);
}

static int create(enum pt_cipher cipher, struct pt_aead_key **out)
{
	struct key *k = calloc(1, sizeof(*k));

	pt_check(cipher > PT_CIPHER_NONE && cipher <= PT_CIPHER_MAX);
	if (!k)
		return -ENOMEM;
	k->head.lib = &pt_aead_libcrypto;
	k->cipher = EVP_CIPHER_fetch(NULL, names[cipher], NULL);
	if (!k->cipher) {
		destroy(&k->head);
		return -ENOTSUP;
	}
	k->ctx = EVP_CIPHER_CTX_new();
	if (!k->ctx) {
		destroy(&k->head);
		return -ENOMEM;
	}
	*out = &k->head;
	return 0;
}

static bool set(struct pt_aead_key *k, const __u8 *key)
{
	return EVP_EncryptInit_ex2(key_of(k)->ctx, key_of(k)->cipher, key,
				   NULL, NULL) == 1;
}

static void forget(struct pt_aead_key *k)
{
	EVP_CIPHER_CTX_reset(key_of(k)->ctx);	/* wipes the key in it */
}

static void start(struct pt_aead_key *k, bool is_sending,
		  const __u8 nonce[PT_AEAD_NONCE_SZ],
		  struct pt_span clear)
{
	EVP_CIPHER_CTX *ctx = key_of(k)->ctx;
	int done;

	pt_check(EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, is_sending,
				    NULL) == 1);
	pt_check(EVP_CipherUpdate(ctx, NULL, &done, clear.base, clear.sz) ==
		 1);
}

static void encrypt(struct pt_aead_key *k, void *to, const void *from,
		    __u32 sz)
{
	int done;

	pt_check(EVP_EncryptUpdate(key_of(k)->ctx, to, &done, from, sz) == 1);
}

static void decrypt(struct pt_aead_key *k, void *bytes, __u32 sz)
{
	int done;

	pt_check(EVP_DecryptUpdate(key_of(k)->ctx, bytes, &done, bytes,
				   sz) == 1);
}

static void seal(struct pt_aead_key *k, __u8 tag[PT_AUTH_SZ])
{
	EVP_CIPHER_CTX *ctx = key_of(k)->ctx;
	int done;

	pt_check(EVP_EncryptFinal_ex(ctx, tag, &done) == 1);
	pt_check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, PT_AUTH_SZ,
				     tag) == 1);
}

static bool open(struct pt_aead_key *k, const __u8 tag[PT_AUTH_SZ])
{
	EVP_CIPHER_CTX *ctx = key_of(k)->ctx;
	__u8 none[PT_AUTH_SZ];
	int done;

	pt_check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, PT_AUTH_SZ,
				     (void *)tag) == 1);
	return EVP_DecryptFinal_ex(ctx, none, &done) == 1;
}

const struct pt_aead_lib pt_aead_libcrypto = {
	.name = "libcrypto",
	.version = version,
	.has = has,
	.create = create,
	.destroy = destroy,
	.set = set,
	.forget = forget,
	.start = start,
	.encrypt = encrypt,
	.decrypt = decrypt,
	.seal = seal,
	.open = open,
};
