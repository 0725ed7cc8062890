// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "seal/aead.h"

#include "seal/aead_libs.h"

/* The last one has every cipher. */
static const struct pt_aead_lib *const libs[] = {
#ifdef PT_WITH_IPSEC_MB
	&pt_aead_libipsec_mb,
#endif
	&pt_aead_libcrypto,
};

const struct pt_aead_lib *const *pt_aead_libs(unsigned int *cnt)
{
	*cnt = sizeof(libs) / sizeof(libs[0]);
	return libs;
}

const struct pt_aead_lib *pt_aead_lib_choose(enum pt_cipher cipher)
{
	const struct pt_aead_lib *const *lib = libs;

	while (*lib != &pt_aead_libcrypto && !(*lib)->has(cipher))
		lib++;
	return *lib;
}
