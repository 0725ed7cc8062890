// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The body compiled for AVX2.  System headers come first, since their inline
 * functions must not be compiled for another CPU. */
#ifdef __x86_64__
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "wire/checksum.h"

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), \
			     apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#define XXH_VECTOR XXH_AVX2
#include "wire/checksum_body.h"

void pt_checksum_avx2(const struct pt_span *spans, unsigned int span_cnt,
		      __u8 out[PT_AUTH_SZ])
{
	checksum_body(spans, span_cnt, out);
	/* GCC omits vzeroupper after calls within the file.  Without it
	 * each change to SSE instructions and back costs some 70 cycles. */
	_mm256_zeroupper();
}

#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
