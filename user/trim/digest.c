// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <endian.h>

#include "trim/digest_body.h"

static const struct pt_digest_variant portable = {
	.name = "portable", .is_supported = true, DIGEST_BODY
};

const struct pt_digest_variant *pt_digest_chosen = &portable;

static struct pt_digest_variant variants[2];
static unsigned int variant_cnt;

__attribute__((constructor)) static void choose(void)
{
	variants[variant_cnt++] = portable;
#ifdef __x86_64__
	__builtin_cpu_init();
	variants[variant_cnt] = pt_digest_avx2;
	variants[variant_cnt].is_supported = __builtin_cpu_supports("avx2");
	if (variants[variant_cnt].is_supported)
		pt_digest_chosen = &pt_digest_avx2;
	variant_cnt++;
#endif
}

const struct pt_digest_variant *pt_digest_variants(unsigned int *cnt)
{
	*cnt = variant_cnt;
	return variants;
}

__u64 pt_digest_at(__u64 content, __u64 gfn)
{
	__u64 bytes = htobe64(content);

	return content ? XXH3_64bits_withSeed(&bytes, sizeof(bytes), gfn) : 0;
}
