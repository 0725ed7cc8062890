// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/stream_copy.h"

#include <stdint.h>
#include <string.h>

static void copy_portable(void *to, const void *from, size_t sz)
{
	memcpy(to, from, sz);
}

#ifdef __x86_64__
#include <immintrin.h>

static inline bool is_aligned(const void *to)
{
	return !((uintptr_t)to % 64);
}

__attribute__((target("avx2")))
static void copy_avx2(void *to, const void *from, size_t sz)
{
	__m256i *half = to;
	const __m256i *source = from;

	for (; is_aligned(to) && sz >= 64; sz -= 64) {
		_mm256_stream_si256(half, _mm256_loadu_si256(source));
		_mm256_stream_si256(half + 1, _mm256_loadu_si256(source + 1));
		half += 2;
		source += 2;
	}
	memcpy(half, source, sz);
}

__attribute__((target("avx512f")))
static void copy_avx512(void *to, const void *from, size_t sz)
{
	__m512i *block = to;
	const __m512i *source = from;

	for (; is_aligned(to) && sz >= 64; sz -= 64)
		_mm512_stream_si512(block++, _mm512_loadu_si512(source++));
	memcpy(block, source, sz);
}

void pt_stream_copy_end(void)
{
	_mm_sfence();
}
#else
void pt_stream_copy_end(void)
{
}
#endif

/* The constructor fills in is_supported of the others, before main() runs. */
static struct pt_stream_copy_variant variants[] = {
	{ "portable", copy_portable, true },
#ifdef __x86_64__
	{ "avx2", copy_avx2, false },
	{ "avx512", copy_avx512, false },
#endif
};

static const unsigned variant_cnt = sizeof(variants) / sizeof(variants[0]);

pt_stream_copy_fn *pt_stream_copy_chosen = copy_portable;

__attribute__((constructor)) static void choose(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	variants[1].is_supported = __builtin_cpu_supports("avx2");
	variants[2].is_supported = __builtin_cpu_supports("avx512f");
#endif
	for (unsigned i = 0; i < variant_cnt; i++)
		if (variants[i].is_supported)
			pt_stream_copy_chosen = variants[i].copy;
}

const struct pt_stream_copy_variant *pt_stream_copy_variants(unsigned *cnt)
{
	*cnt = variant_cnt;
	return variants;
}
