// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#ifdef PT_WITH_IPSEC_MB
#include "seal/aead_libs.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include <pagetrim/check.h>
#include "base/secret.h"

/* gcm: AES-GCM with one key size, for this CPU. */
struct gcm {
	aes_gcm_pre_t	pre;
	aes_gcm_init_t	init;
	aes_gcm_enc_dec_update_t encrypt, decrypt;
	aes_gcm_enc_dec_finalize_t seal, open;
};

struct key {
	struct pt_aead_key head;
	const struct gcm *gcm;
	struct gcm_context_data frame;	/* its progress */
	struct gcm_key_data schedule __attribute__((aligned(64)));
};

/* The available functions, looked up once; none if the CPU lacks instructions
 * or the library's self-test fails. */
static struct {
	struct gcm aes_128, aes_256;
	bool	is_there;
} here;
static pthread_once_t looked = PTHREAD_ONCE_INIT;

/* make_manager returns NULL if this CPU is unsuitable.  The compiler's
 * functions also ask the kernel whether it saves the wide registers, and the
 * library does not check for AES by itself.  Registers narrower than AVX2's
 * gain too little. */
static IMB_MGR *make_manager(void)
{
	IMB_MGR *m;

	__builtin_cpu_init();
	if (!__builtin_cpu_supports("aes") ||
	    !__builtin_cpu_supports("pclmul") ||
	    !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2"))
		return NULL;
	m = alloc_mb_mgr(0);
	if (!m)
		return NULL;
	if (__builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512cd") &&
	    __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512vl"))
		init_mb_mgr_avx512(m);
	else
		init_mb_mgr_avx2(m);
	return m;
}

/* look: the functions hold no state and do not need the manager afterwards. */
static void look(void)
{
	IMB_MGR *m = make_manager();

	if (!m)
		return;
	here.aes_128 = (struct gcm){
		m->gcm128_pre, m->gcm128_init,
		m->gcm128_enc_update, m->gcm128_dec_update,
		m->gcm128_enc_finalize, m->gcm128_dec_finalize,
	};
	here.aes_256 = (struct gcm){
		m->gcm256_pre, m->gcm256_init,
		m->gcm256_enc_update, m->gcm256_dec_update,
		m->gcm256_enc_finalize, m->gcm256_dec_finalize,
	};
	here.is_there = !imb_get_errno(m) &&
			m->features & IMB_FEATURE_SELF_TEST_PASS;
	free_mb_mgr(m);
}

static struct key *key_of(struct pt_aead_key *k)
{
	return (struct key *)k;
}

static const struct gcm *gcm_of(enum pt_cipher cipher)
{
	pthread_once(&looked, look);
	if (!here.is_there)
		return NULL;
	switch (cipher) {
	case PT_CIPHER_AES_128_GCM:
		return &here.aes_128;
	case PT_CIPHER_AES_256_GCM:
		return &here.aes_256;
	default:
		return NULL;
	}
}

static const char *version(void)
{
	return imb_get_version_str();
}

static bool has(enum pt_cipher cipher)
{
	return gcm_of(cipher);
}

static int create(enum pt_cipher cipher, struct pt_aead_key **out)
{
	const struct gcm *gcm = gcm_of(cipher);
	struct key *k;

	if (!gcm)
		return -ENOTSUP;
	k = pt_secret_alloc(sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->head.lib = &pt_aead_libipsec_mb;
	k->gcm = gcm;
	*out = &k->head;
	return 0;
}

static bool set(struct pt_aead_key *k, const __u8 *key)
{
	key_of(k)->gcm->pre(key, &key_of(k)->schedule);
	return true;
}

static void forget(struct pt_aead_key *k)
{
	OPENSSL_cleanse(&key_of(k)->schedule, sizeof(key_of(k)->schedule));
	OPENSSL_cleanse(&key_of(k)->frame, sizeof(key_of(k)->frame));
}

static void destroy(struct pt_aead_key *k)
{
	pt_secret_free(key_of(k), sizeof(struct key));
}

static void start(struct pt_aead_key *head, bool is_sending,
		  const __u8 nonce[PT_AEAD_NONCE_SZ],
		  struct pt_span clear)
{
	struct key *k = key_of(head);

	(void)is_sending;
	k->gcm->init(&k->schedule, &k->frame, nonce, clear.base, clear.sz);
}

static void encrypt(struct pt_aead_key *head, void *to, const void *from,
		    __u32 sz)
{
	struct key *k = key_of(head);

	k->gcm->encrypt(&k->schedule, &k->frame, to, from, sz);
}

static void decrypt(struct pt_aead_key *head, void *bytes, __u32 sz)
{
	struct key *k = key_of(head);

	k->gcm->decrypt(&k->schedule, &k->frame, bytes, bytes, sz);
}

static void seal(struct pt_aead_key *head, __u8 tag[PT_AUTH_SZ])
{
	struct key *k = key_of(head);

	k->gcm->seal(&k->schedule, &k->frame, tag, PT_AUTH_SZ);
}

static bool open(struct pt_aead_key *head, const __u8 tag[PT_AUTH_SZ])
{
	struct key *k = key_of(head);
	__u8 right[PT_AUTH_SZ];
	bool is_right;

	k->gcm->open(&k->schedule, &k->frame, right, PT_AUTH_SZ);
	is_right = !CRYPTO_memcmp(right, tag, PT_AUTH_SZ);
	OPENSSL_cleanse(right, sizeof(right));	/* a forger must not learn it */
	return is_right;
}

const struct pt_aead_lib pt_aead_libipsec_mb = {
	.name = "libipsec-mb",
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
#endif
