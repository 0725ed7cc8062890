/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* aead_kit: a group of tests, run with each crypto library that this program
 * and this CPU have.
 */
#ifndef TEST_AEAD_KIT_H
#define TEST_AEAD_KIT_H

#include "wire_kit.h"

#include "seal/aead.h"

/* The library under test; libcrypto replaces what it lacks. */
static const struct pt_aead_lib *aead_kit_lib;

static inline const struct pt_aead_lib *aead_kit_lib_of(enum pt_cipher cipher)
{
	return cipher && aead_kit_lib->has(cipher) ?
	       aead_kit_lib : pt_aead_lib_choose(PT_CIPHER_NONE);
}

/* aead_kit_run returns the number of failed tests. */
static inline int aead_kit_run(const char *name,
			       const struct CMUnitTest *tests, size_t cnt)
{
	const struct pt_aead_lib *const *libs;
	unsigned int lib_cnt;
	char title[128];
	int failed = 0;

	libs = pt_aead_libs(&lib_cnt);
	for (unsigned int i = 0; i < lib_cnt; i++) {
		aead_kit_lib = libs[i];
		if (!libs[i]->has(PT_CIPHER_AES_128_GCM)) {
			print_message("%s by %s: not on this CPU\n", name,
				      libs[i]->name);
			continue;
		}
		snprintf(title, sizeof(title), "%s by %s", name,
			 libs[i]->name);
		failed += _cmocka_run_group_tests(title, tests, cnt, NULL,
						  NULL);
	}
	return failed;
}

#endif
