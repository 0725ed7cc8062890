/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cipher: what frames can be sealed with: the AEADs of RFC 5116 and 8439.
 *
 * The numbers are the protocol's: add, never renumber.  Pure functions: any
 * thread.
 */
#ifndef SEAL_CIPHER_H
#define SEAL_CIPHER_H

#include <linux/types.h>

enum pt_cipher {
	PT_CIPHER_NONE			= 0,	/* frames are not sealed */
	PT_CIPHER_AES_128_GCM		= 1,
	PT_CIPHER_AES_256_GCM		= 2,
	PT_CIPHER_CHACHA20_POLY1305	= 3,
};

#define PT_CIPHER_MAX		PT_CIPHER_CHACHA20_POLY1305
#define PT_CIPHER_KEY_SZ_MAX	32	/* bytes */

/* PT_CIPHER_BIT: a set of ciphers is a number of such bits. */
#define PT_CIPHER_BIT(cipher)	(1u << (cipher))

/* pt_cipher_name returns "none", "aes-128-gcm", ...; "unknown" of a number
 * that is no cipher. */
const char *pt_cipher_name(enum pt_cipher cipher);

/* pt_cipher_parse finds the cipher of that name, "none" excepted.  -EINVAL:
 * there is none, and *out is as it was. */
int pt_cipher_parse(const char *text, enum pt_cipher *out);

/* pt_cipher_key_sz returns the bytes of the cipher's key; 0 of NONE. */
__u32 pt_cipher_key_sz(enum pt_cipher cipher);

/* pt_ciphers_here returns the set of ciphers that this program has. */
__u16 pt_ciphers_here(void);

/* pt_cipher_choose returns which cipher of the set is the quickest on this
 * CPU, of those of one speed the one that has stood longest: AES-128-GCM where
 * the CPU computes AES, else ChaCha20-Poly1305.  NONE if the set has none that
 * we know. */
enum pt_cipher pt_cipher_choose(__u16 offered);

#endif
