/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* checksum_body: the one source of all variants of the checksum.  XXH_VECTOR,
 * if set, selects the instructions for which <xxhash.h> is compiled.
 */
#ifndef WIRE_CHECKSUM_BODY_H
#define WIRE_CHECKSUM_BODY_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "wire/checksum.h"

#ifdef __x86_64__
extern pt_checksum_fn pt_checksum_avx2;
#endif

static XXH128_hash_t hash_pieces(const struct pt_span *spans,
				 unsigned int span_cnt)
{
	XXH3_state_t state;

	XXH3_128bits_reset(&state);
	for (unsigned int i = 0; i < span_cnt; i++)
		XXH3_128bits_update(&state, spans[i].base, spans[i].sz);
	return XXH3_128bits_digest(&state);
}

static void checksum_body(const struct pt_span *spans, unsigned int span_cnt,
			  __u8 out[PT_AUTH_SZ])
{
	XXH128_hash_t hash = span_cnt == 1 ?
			     XXH3_128bits(spans->base, spans->sz) :
			     hash_pieces(spans, span_cnt);

	_Static_assert(sizeof(XXH128_canonical_t) == PT_AUTH_SZ, "auth");
	XXH128_canonicalFromHash((XXH128_canonical_t *)out, hash);
}

#endif
