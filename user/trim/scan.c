// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "trim/scan.h"

#include <string.h>
#include <pagetrim/wire.h>

/* The compiler may use the machine's baseline (SSE2, NEON). */
static __u64 scan_portable(const void *page)
{
	const __u8 *block = page;
	__u64 mask = 0;

	for (unsigned int b = 0; b < PT_PAGE_BLOCKS; b++) {
		__u64 w[8];

		memcpy(w, block, sizeof(w));	/* block may be unaligned */
		w[0] |= w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7];
		mask |= (__u64)(w[0] != 0) << b;
		block += PT_BLOCK_SZ;
	}
	return mask;
}

#ifdef __x86_64__
#include <immintrin.h>

/* Each bit is computed on its own and shifted in: the load ports are the limit,
 * not the arithmetic. */
__attribute__((target("avx2"))) static __u64 scan_avx2(const void *page)
{
	const __m256i *half = page;
	__u64 mask = 0;

	for (unsigned int b = 0; b < PT_PAGE_BLOCKS; b++) {
		__m256i v = _mm256_or_si256(_mm256_loadu_si256(half),
					    _mm256_loadu_si256(half + 1));

		mask |= (__u64)!_mm256_testz_si256(v, v) << b;
		half += 2;
	}
	return mask;
}

__attribute__((target("avx512f"))) static __u64 scan_avx512(const void *page)
{
	const __u8 *block = page;
	__u64 mask = 0;

	for (unsigned int b = 0; b < PT_PAGE_BLOCKS; b++) {
		__m512i v = _mm512_loadu_si512(block);
		__mmask16 words = _mm512_test_epi32_mask(v, v);

		mask |= (__u64)!_mm512_kortestz(words, words) << b;
		block += PT_BLOCK_SZ;
	}
	return mask;
}
#endif

/* The others' is_supported is set before main() runs. */
static struct pt_scan_variant variants[] = {
	{ "portable", scan_portable, true },
#ifdef __x86_64__
	{ "avx2", scan_avx2, false },
	{ "avx512", scan_avx512, false },
#endif
};

static const unsigned int variant_cnt = sizeof(variants) / sizeof(variants[0]);
static const char *chosen_name = "portable";

/* Valid before main(), since another constructor may scan. */
pt_scan_fn *pt_scan_chosen = scan_portable;

__attribute__((constructor)) static void choose(void)
{
#ifdef __x86_64__
	/* Both check CPUID and whether the kernel saves the registers. */
	__builtin_cpu_init();
	variants[1].is_supported = __builtin_cpu_supports("avx2");
	variants[2].is_supported = __builtin_cpu_supports("avx512f");
#endif
	for (unsigned int i = 0; i < variant_cnt; i++) {
		if (!variants[i].is_supported)
			continue;
		pt_scan_chosen = variants[i].scan;
		chosen_name = variants[i].name;
	}
}

const struct pt_scan_variant *pt_scan_variants(unsigned int *cnt)
{
	*cnt = variant_cnt;
	return variants;
}

const char *pt_scan_name(void)
{
	return chosen_name;
}
