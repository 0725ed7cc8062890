/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* siphash: SipHash-2-4 with a 64-bit result: the keyed check of a frame header,
 * cheap enough for the XDP program.
 *
 * Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF",
 * 2012.  Pure; any thread; BPF and user space compile this source.
 */
#ifndef PAGETRIM_SIPHASH_H
#define PAGETRIM_SIPHASH_H

#include <linux/types.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define PT_SIPHASH_KEY_SZ	16

/* pt_siphash_load reads 8 bytes of any alignment, lowest first. */
static __always_inline __u64 pt_siphash_load(const void *at)
{
	struct word {
		__u64 value;
	} __attribute__((packed, may_alias));
	const __u64 value = ((const struct word *)at)->value;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return value;
#else
	return __builtin_bswap64(value);
#endif
}

/* pt_siphash_key converts a key's 16 bytes to the two words for hashing. */
static __always_inline void
pt_siphash_key(__u64 out[2], const __u8 key[PT_SIPHASH_KEY_SZ])
{
	out[0] = pt_siphash_load(key);
	out[1] = pt_siphash_load(key + 8);
}

static __always_inline __u64 pt_siphash_rotate(__u64 word, unsigned int by)
{
	return word << by | word >> (64 - by);
}

static __always_inline void pt_siphash_round(__u64 v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = pt_siphash_rotate(v[1], 13) ^ v[0];
	v[3] = pt_siphash_rotate(v[3], 16) ^ v[2];
	v[0] = pt_siphash_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = pt_siphash_rotate(v[1], 17) ^ v[2];
	v[3] = pt_siphash_rotate(v[3], 21) ^ v[0];
	v[2] = pt_siphash_rotate(v[2], 32);
}

static __always_inline void pt_siphash_take(__u64 v[4], __u64 word)
{
	v[3] ^= word;
	pt_siphash_round(v);
	pt_siphash_round(v);
	v[0] ^= word;
}

/* pt_siphash_last returns the last word: the bytes that fill none, and the
 * number of all. */
static __always_inline __u64 pt_siphash_last(const void *from,
					     const unsigned int sz)
{
	const __u8 *at = (const __u8 *)from + sz / 8 * 8;
	__u64 word = (__u64)sz << 56;

#pragma GCC unroll 7
	for (unsigned int i = 0; i < sz % 8; i++)
		word |= (__u64)at[i] << 8 * i;
	return word;
}

/* pt_siphash hashes the sz bytes at from, any alignment.  sz, 0..255, is a
 * compile-time constant: no loop is left for a verifier to follow. */
static __always_inline __u64 pt_siphash(const __u64 key[2], const void *from,
					const unsigned int sz)
{
	__u64 v[4] = {
		key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL,
		key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL,
	};

#pragma GCC unroll 31
	for (unsigned int i = 0; i < sz / 8; i++)
		pt_siphash_take(v, pt_siphash_load((const __u8 *)from + 8 * i));
	pt_siphash_take(v, pt_siphash_last(from, sz));
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		pt_siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
