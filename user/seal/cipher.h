/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cipher: the AEADs that can seal frames, those of RFC 5116 and 8439.
 *
 * The protocol uses these numbers: add, never renumber.  Pure functions: any
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

/* pt_cipher_name returns "none", "aes-128-gcm", ...; "unknown" for any other
 * number. */
const char *pt_cipher_name(enum pt_cipher cipher);

/* pt_cipher_parse finds the cipher of that name, "none" excepted.  -EINVAL:
 * there is none, and *out is unchanged. */
int pt_cipher_parse(const char *text, enum pt_cipher *out);

/* pt_cipher_key_sz returns the bytes of the cipher's key; 0 for NONE. */
__u32 pt_cipher_key_sz(enum pt_cipher cipher);

/* pt_ciphers_here returns the set of ciphers of this program. */
__u16 pt_ciphers_here(void);

/* pt_cipher_choose returns the fastest cipher of the set on this CPU, and the
 * oldest among those of one speed: AES-128-GCM where the CPU computes AES, else
 * ChaCha20-Poly1305.  NONE if the set has no known cipher. */
enum pt_cipher pt_cipher_choose(__u16 offered);

#endif
