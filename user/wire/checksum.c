// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire/checksum_body.h"

pt_checksum_fn *pt_checksum_chosen = checksum_body;

static struct pt_checksum_variant variants[] = {
	{ "portable", checksum_body, true },
#ifdef __x86_64__
	{ "avx2", pt_checksum_avx2, false },
#endif
};

#ifdef __x86_64__
static __attribute__((constructor)) void choose(void)
{
	__builtin_cpu_init();
	variants[1].is_supported = __builtin_cpu_supports("avx2");
	if (variants[1].is_supported)
		pt_checksum_chosen = variants[1].checksum;
}
#endif

const struct pt_checksum_variant *pt_checksum_variants(unsigned int *cnt)
{
	*cnt = sizeof(variants) / sizeof(variants[0]);
	return variants;
}
