// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "seal/seal.h"

#include <errno.h>
#include <string.h>
#include <openssl/crypto.h>

#include <pagetrim/check.h>

#include "base/secret.h"
#include "seal/seal_key.h"

/* Keys of data frames: the newest, its predecessor, and one that a receiver
 * derived ahead and that no tag has confirmed yet. */
enum { NEWEST, BEFORE, AHEAD, KEYS };

/* A cipher call for a short run costs more than copying it, so short runs are
 * gathered in the frame, which is in the cache, and encrypted there.  The limit
 * was measured with tests/bench/seal.c for each library. */
#define DIRECT_SZ_MIN	768	/* bytes of a run that is encrypted while it is
				 * copied */
#define GATHERED_SZ_MAX	4096

/* A call that does not begin and end between blocks of the cipher costs more;
 * this is a multiple of all ciphers' block. */
#define STRIDE_SZ	64

struct pt_seal {
	struct pt_seal_kdf kdf;
	__u64	header_key[2];
	__u64	next_seq[PT_FRAME_PROBE + 1];	/* by kind; sending */
	__u8	rekey_log2;
	__u8	secret[PT_SEAL_SECRET_SZ];	/* of keys[NEWEST]'s epoch */
	__u8	secret_ahead[PT_SEAL_SECRET_SZ];	/* of keys[AHEAD]'s */
	struct pt_seal_key keys[KEYS];
	struct pt_seal_key probe;
	struct pt_seal_key *key;	/* of the present frame */
	__u8	*gathered;		/* bytes of it that are copied, but */
	__u32	gathered_sz;		/* not yet encrypted */
	__u8	*rest;			/* bytes of the last piece that are not */
	__u32	rest_sz;		/* yet decrypted: under STRIDE_SZ */
};

static __u64 epoch_of(const struct pt_seal *s, enum pt_frame_kind kind,
		      __u64 seq)
{
	return kind == PT_FRAME_DATA ? seq >> s->rekey_log2 : 0;
}

/* set_first_keys derives the keys of epoch 0 and of probes. */
static bool set_first_keys(struct pt_seal *s)
{
	__u8 secret[PT_SEAL_SECRET_SZ];
	bool ok;

	ok = pt_seal_key_set(&s->keys[NEWEST], &s->kdf, s->secret, 0) &&
	     pt_seal_expand(&s->kdf, s->secret, "pagetrim probe",
			    secret, sizeof(secret)) &&
	     pt_seal_key_set(&s->probe, &s->kdf, secret, 0);
	OPENSSL_cleanse(secret, sizeof(secret));
	return ok;
}

static int create_keys(struct pt_seal *s, const struct pt_seal_cfg *cfg)
{
	const struct pt_aead_lib *lib = cfg->lib ? cfg->lib :
				pt_aead_lib_choose(cfg->cipher);
	int ret;

	ret = pt_aead_key_create(&s->probe.aead, lib, cfg->cipher);
	for (int i = 0; !ret && i < KEYS; i++)
		ret = pt_aead_key_create(&s->keys[i].aead, lib, cfg->cipher);
	if (!ret && !set_first_keys(s))
		ret = -ENOMEM;
	return ret;
}

int pt_seal_create(struct pt_seal **out, const struct pt_seal_cfg *cfg)
{
	struct pt_seal *s;
	int ret;

	pt_check(cfg->rekey_log2 >= PT_REKEY_LOG2_MIN);
	pt_check(cfg->rekey_log2 <= PT_REKEY_LOG2_MAX);
	s = pt_secret_alloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->rekey_log2 = cfg->rekey_log2;
	memcpy(s->secret, cfg->secret, sizeof(s->secret));
	pt_siphash_key(s->header_key, cfg->header_key);

	ret = pt_seal_kdf_open(&s->kdf, cfg->cipher);
	if (!ret)
		ret = create_keys(s, cfg);
	if (ret) {
		pt_seal_destroy(s);
		return ret;
	}
	*out = s;
	return 0;
}

void pt_seal_keep_probes(struct pt_seal *s)
{
	for (int i = 0; i < KEYS; i++)
		pt_seal_key_forget(&s->keys[i]);
	OPENSSL_cleanse(s->secret, sizeof(s->secret));
	OPENSSL_cleanse(s->secret_ahead, sizeof(s->secret_ahead));
}

void pt_seal_destroy(struct pt_seal *s)
{
	if (!s)
		return;
	for (int i = 0; i < KEYS; i++)
		pt_seal_key_wipe(&s->keys[i]);
	pt_seal_key_wipe(&s->probe);
	pt_seal_kdf_close(&s->kdf);
	pt_secret_free(s, sizeof(*s));
}

__u16 pt_seal_key_epoch(const struct pt_seal *s, enum pt_frame_kind kind,
			__u64 seq)
{
	return epoch_of(s, kind, seq);
}

void pt_seal_header(const struct pt_seal *s, struct pt_frame_hdr *hdr)
{
	__u64 mac = pt_siphash(s->header_key, hdr, PT_HEADER_MACED_SZ);

	for (unsigned int i = 0; i < sizeof(hdr->header_mac); i++)
		hdr->header_mac[i] = mac >> 8 * i;
}

/* look_ahead derives the key of a later epoch, and forgets nothing yet.  The
 * key of the last look is used again, so that a forgery does not cost a
 * derivation. */
static bool look_ahead(struct pt_seal *s, __u64 epoch)
{
	struct pt_seal_key *key = &s->keys[AHEAD];
	__u64 steps = epoch - s->keys[NEWEST].epoch;

	if (key->is_set && key->epoch == epoch)
		return true;
	key->is_set = false;
	memcpy(s->secret_ahead, s->secret, sizeof(s->secret));
	while (steps--)
		if (!pt_seal_expand(&s->kdf, s->secret_ahead,
				    "pagetrim epoch", s->secret_ahead,
				    sizeof(s->secret_ahead)))
			return false;
	return pt_seal_key_set(key, &s->kdf, s->secret_ahead, epoch);
}

/* go_ahead makes the key ahead the newest, and forgets the oldest. */
static void go_ahead(struct pt_seal *s)
{
	struct pt_seal_key oldest = s->keys[BEFORE];

	s->keys[BEFORE] = s->keys[NEWEST];
	s->keys[NEWEST] = s->keys[AHEAD];
	s->keys[AHEAD] = oldest;
	pt_seal_key_forget(&s->keys[AHEAD]);
	memcpy(s->secret, s->secret_ahead, sizeof(s->secret));
	OPENSSL_cleanse(s->secret_ahead, sizeof(s->secret_ahead));
}

void pt_seal_start(struct pt_seal *s, enum pt_frame_kind kind, __u64 seq,
		   struct pt_span clear)
{
	__u64 epoch = epoch_of(s, kind, seq);

	pt_check(seq >= s->next_seq[kind]);	/* a nonce is never used
						 * twice */
	pt_check(seq <= (kind == PT_FRAME_DATA ? PT_SEALED_SEQ_MAX :
						 PT_SEALED_PROBE_MAX));
	s->next_seq[kind] = seq + 1;
	s->key = kind == PT_FRAME_DATA ? &s->keys[NEWEST] : &s->probe;
	pt_check(s->key->is_set);
	if (epoch != s->key->epoch) {
		pt_check(look_ahead(s, epoch));	/* memory suffices */
		go_ahead(s);
		pt_seal_key_forget(&s->keys[BEFORE]);
	}
	s->gathered_sz = 0;
	pt_seal_key_start(s->key, true, kind, seq, clear);
}

static void encrypt_gathered(struct pt_seal *s)
{
	if (s->gathered_sz)
		pt_aead_encrypt(s->key->aead, s->gathered, s->gathered,
				s->gathered_sz);
	s->gathered_sz = 0;
}

/* gather adds sz bytes that are written to those that are not yet encrypted. */
static void gather(struct pt_seal *s, __u8 *at, __u32 sz)
{
	if (!s->gathered_sz)
		s->gathered = at;
	pt_check(at == s->gathered + s->gathered_sz);
	s->gathered_sz += sz;
	if (s->gathered_sz < GATHERED_SZ_MAX)
		return;
	sz = s->gathered_sz % STRIDE_SZ;
	at = s->gathered + s->gathered_sz - sz;
	s->gathered_sz -= sz;
	encrypt_gathered(s);
	s->gathered = at;
	s->gathered_sz = sz;
}

void pt_seal_here(struct pt_seal *s, void *at, __u32 sz)
{
	gather(s, at, sz);
}

/* copy_blocks copies runs that are so short that a call of memcpy would take as
 * long as the copy.
 */
static void copy_blocks(__u8 *to, const __u8 *from, __u32 sz)
{
	for (__u32 at = 0; at < sz; at += PT_BLOCK_SZ)
		memcpy(to + at, from + at, PT_BLOCK_SZ);
}

void pt_seal_put(struct pt_seal *s, void *to, const void *from, __u32 sz)
{
	pt_check(sz % PT_BLOCK_SZ == 0);
	if (sz >= DIRECT_SZ_MIN) {
		encrypt_gathered(s);
		pt_aead_encrypt(s->key->aead, to, from, sz);
		return;
	}
	copy_blocks(to, from, sz);
	gather(s, to, sz);
}

void pt_seal_finish(struct pt_seal *s, __u8 tag[PT_AUTH_SZ])
{
	encrypt_gathered(s);
	pt_aead_seal(s->key->aead, tag);
}

/* key_to_open finds the key of a received frame; NULL: there is none. */
static struct pt_seal_key *key_to_open(struct pt_seal *s,
				       enum pt_frame_kind kind, __u64 seq)
{
	__u64 epoch = epoch_of(s, kind, seq);
	const __u64 newest = s->keys[NEWEST].epoch;

	if (kind == PT_FRAME_PROBE)
		return seq <= PT_SEALED_PROBE_MAX ? &s->probe : NULL;
	if (seq > PT_SEALED_SEQ_MAX || !s->keys[NEWEST].is_set)
		return NULL;
	if (epoch == newest)
		return &s->keys[NEWEST];
	if (epoch < newest)
		return s->keys[BEFORE].is_set &&
		       s->keys[BEFORE].epoch == epoch ? &s->keys[BEFORE] : NULL;
	if (epoch - newest > PT_SEAL_AHEAD_MAX || !look_ahead(s, epoch))
		return NULL;
	return &s->keys[AHEAD];
}

bool pt_unseal_start(struct pt_seal *s, enum pt_frame_kind kind, __u64 seq,
		     struct pt_span clear)
{
	s->key = key_to_open(s, kind, seq);
	if (!s->key)
		return false;
	pt_seal_key_start(s->key, false, kind, seq, clear);
	s->rest_sz = 0;
	return true;
}

static void decrypt_rest(struct pt_seal *s)
{
	if (s->rest_sz)
		pt_aead_decrypt(s->key->aead, s->rest, s->rest_sz);
	s->rest_sz = 0;
}

/* decrypt_joined decrypts the rest of the piece before, and the first sz bytes of
 * this one, which together are a stride. */
static void decrypt_joined(struct pt_seal *s, __u8 *bytes, __u32 sz)
{
	__u8 stride[STRIDE_SZ];

	memcpy(stride, s->rest, s->rest_sz);
	memcpy(stride + s->rest_sz, bytes, sz);
	pt_aead_decrypt(s->key->aead, stride, sizeof(stride));
	memcpy(s->rest, stride, s->rest_sz);
	memcpy(bytes, stride + s->rest_sz, sz);
	s->rest_sz = 0;
}

void pt_unseal_take(struct pt_seal *s, void *bytes, __u32 sz)
{
	const __u32 joined = s->rest_sz ? STRIDE_SZ - s->rest_sz : 0;
	__u8 *at = bytes;

	if (joined && sz >= joined) {
		decrypt_joined(s, at, joined);
		at += joined;
		sz -= joined;
	}
	decrypt_rest(s);	/* the piece is too short */
	s->rest_sz = sz % STRIDE_SZ;
	s->rest = at + sz - s->rest_sz;
	if (sz >= STRIDE_SZ)
		pt_aead_decrypt(s->key->aead, at, sz - s->rest_sz);
}

bool pt_unseal_finish(struct pt_seal *s, const __u8 tag[PT_AUTH_SZ])
{
	decrypt_rest(s);
	if (!pt_aead_open(s->key->aead, tag))
		return false;
	if (s->key == &s->keys[AHEAD])
		go_ahead(s);
	return true;
}
