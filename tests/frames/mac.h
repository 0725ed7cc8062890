/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* mac: SipHash-2-4 for tests, of any bytes, byte by byte as in the paper.  It
 * does not use <pagetrim/siphash.h>, which the tests check against it. */
#ifndef FRAMES_MAC_H
#define FRAMES_MAC_H

#include <linux/types.h>

static inline __u64 mac_word(const __u8 *at, __u32 sz)
{
	__u64 word = 0;

	while (sz--)
		word = word << 8 | at[sz];
	return word;
}

static inline void mac_rounds(__u64 v[4], int cnt)
{
	static const struct {
		int to, from, left;
	} steps[2][2] = {
		{ { 0, 1, 13 }, { 2, 3, 16 } },
		{ { 2, 1, 17 }, { 0, 3, 21 } },
	};

	while (cnt--) {
		for (int half = 0; half < 2; half++) {
			for (int i = 0; i < 2; i++) {
				__u64 *to = &v[steps[half][i].to];
				__u64 *from = &v[steps[half][i].from];
				int left = steps[half][i].left;

				*to += *from;
				*from = *from << left | *from >> (64 - left);
				*from ^= *to;
			}
			v[half * 2] = v[half * 2] << 32 | v[half * 2] >> 32;
		}
	}
}

static inline __u64 mac_of(const __u8 key[16], const __u8 *at, __u32 sz)
{
	const __u64 k0 = mac_word(key, 8), k1 = mac_word(key + 8, 8);
	__u64 v[4] = {
		k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
		k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL,
	};
	__u64 word;

	for (__u32 left = sz; ; left -= 8, at += 8) {
		word = left < 8 ? (__u64)(sz & 255) << 56 | mac_word(at, left) :
				  mac_word(at, 8);
		v[3] ^= word;
		mac_rounds(v, 2);
		v[0] ^= word;
		if (left < 8)
			break;
	}
	v[2] ^= 0xff;
	mac_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
