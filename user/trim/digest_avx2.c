// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The body compiled for AVX2.  System headers come first, since their inline
 * functions must not be compiled for another CPU. */
#ifdef __x86_64__
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>
#include "trim/digest.h"

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), \
			     apply_to = function)
#else
#pragma GCC target("avx2")
#endif

/* GCC omits vzeroupper after calls within the file.  Without it each
 * change to SSE instructions and back costs some 70 cycles. */
#define BODY_LEAVE()	_mm256_zeroupper()
#define XXH_VECTOR XXH_AVX2
#include "trim/digest_body.h"

const struct pt_digest_variant pt_digest_avx2 = {
	.name = "avx2", DIGEST_BODY
};

#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
