/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* seal_key: one key of a seal: its derivation and its AEAD.
 *
 *     HKDF-Expand of RFC 5869 with SHA-256, info: a label without its NUL
 *     nonce = iv XOR (kind, 4 bytes, and sequence number, 8, big-endian)
 *
 * Owner and threads: those of the seal.
 */
#ifndef SEAL_SEAL_KEY_H
#define SEAL_SEAL_KEY_H

#include <stdbool.h>
#include <linux/types.h>
#include <openssl/kdf.h>

#include <pagetrim/span.h>
#include <pagetrim/wire.h>

#include "seal/aead.h"
#include "seal/seal.h"

/* pt_seal_kdf: the key derivation function, looked up once. */
struct pt_seal_kdf {
	EVP_KDF_CTX *hkdf;
	__u32	key_sz;		/* bytes of the cipher's key */
};

/* pt_seal_kdf_open returns 0; or -ENOTSUP or -ENOMEM, and there is nothing to
 * close. */
int pt_seal_kdf_open(struct pt_seal_kdf *kdf, enum pt_cipher cipher);
void pt_seal_kdf_close(struct pt_seal_kdf *kdf);

/* pt_seal_expand derives sz bytes, at most PT_SEAL_SECRET_SZ, from a secret.
 * False: out of memory. */
bool pt_seal_expand(const struct pt_seal_kdf *kdf,
		    const __u8 secret[PT_SEAL_SECRET_SZ], const char *label,
		    __u8 *out, size_t sz);

struct pt_seal_key {
	struct pt_aead_key *aead;
	__u64	epoch;
	bool	is_set;		/* there is a key, that of epoch */
	__u8	iv[PT_AEAD_NONCE_SZ];
};

void pt_seal_key_wipe(struct pt_seal_key *k);

/* pt_seal_key_set derives key and iv of an epoch.  False: out of memory, and k
 * is not set. */
bool pt_seal_key_set(struct pt_seal_key *k, const struct pt_seal_kdf *kdf,
		     const __u8 secret[PT_SEAL_SECRET_SZ], __u64 epoch);

/* pt_seal_key_forget wipes the key of an epoch that is over. */
void pt_seal_key_forget(struct pt_seal_key *k);

/* pt_seal_key_start begins a frame.  is_sending: to seal it, else to open. */
void pt_seal_key_start(struct pt_seal_key *k, bool is_sending,
		       enum pt_frame_kind kind, __u64 seq,
		       struct pt_span clear);

#endif
