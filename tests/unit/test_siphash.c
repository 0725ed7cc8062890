// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* SipHash, which BPF and user space share, against the tests' own, and
 * libcrypto's. */
#include "wire_kit.h"

#include <openssl/evp.h>

#include <pagetrim/siphash.h>

#include "../frames/mac.h"

/* The paper's key and message, appendix A. */
static const __u8 key[16] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
};

static void test_of_the_paper(void **state)
{
	__u64 words[2];

	(void)state;
	assert_true(mac_of(key, key, 15) == 0xa129ca6149be45e5ULL);
	pt_siphash_key(words, key);
	assert_true(words[0] == 0x0706050403020100ULL);
	assert_true(words[1] == 0x0f0e0d0c0b0a0908ULL);
}

static __u64 by_libcrypto(const __u8 *with, const void *data, size_t sz)
{
	__u8 out[8];
	size_t out_sz = 0;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_size_t("size", &(size_t){ sizeof(out) }),
		OSSL_PARAM_END,
	};

	assert_non_null(EVP_Q_mac(NULL, "SIPHASH", NULL, NULL, params, with, 16,
				  data, sz, out, sizeof(out), &out_sz));
	assert_int_equal(out_sz, sizeof(out));
	return mac_word(out, 8);
}

static void test_they_agree(void **state)
{
	__u64 random = 5;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		__u8 with[16], data[41];
		__u64 words[2], want;

		kit_fill(with, sizeof(with), &random);
		kit_fill(data, sizeof(data), &random);
		pt_siphash_key(words, with);
		want = by_libcrypto(with, data + 1, 40);
		assert_true(mac_of(with, data + 1, 40) == want);
		assert_true(pt_siphash(words, data + 1, 40) == want);
		want = by_libcrypto(with, data, 8);
		assert_true(pt_siphash(words, data, 8) == want);
		want = by_libcrypto(with, data, 0);
		assert_true(pt_siphash(words, data, 0) == want);
		want = by_libcrypto(with, data + 1, 28);
		assert_true(pt_siphash(words, data + 1, 28) == want);
		want = by_libcrypto(with, data, 39);
		assert_true(pt_siphash(words, data, 39) == want);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_the_paper),
		cmocka_unit_test(test_they_agree),
	};

	return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
