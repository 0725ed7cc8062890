// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include <errno.h>

#include "seal/cipher.h"
#include "seal/seal.h"

static const struct {
	enum pt_cipher cipher;
	int	number;		/* fixed in the protocol */
	const char *name;
	__u32	key_sz;
} rows[] = {
	{ PT_CIPHER_AES_128_GCM, 1, "aes-128-gcm", 16 },
	{ PT_CIPHER_AES_256_GCM, 2, "aes-256-gcm", 32 },
	{ PT_CIPHER_CHACHA20_POLY1305, 3, "chacha20-poly1305", 32 },
};

static void test_names_and_numbers(void **state)
{
	enum pt_cipher cipher = PT_CIPHER_NONE;
	__u16 all = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(rows[i].cipher, rows[i].number);
		assert_string_equal(pt_cipher_name(rows[i].cipher),
				    rows[i].name);
		assert_int_equal(pt_cipher_parse(rows[i].name, &cipher), 0);
		assert_int_equal(cipher, rows[i].cipher);
		assert_int_equal(pt_cipher_key_sz(cipher), rows[i].key_sz);
		all |= PT_CIPHER_BIT(cipher);
	}
	assert_int_equal(all, pt_ciphers_here());
	assert_string_equal(pt_cipher_name(PT_CIPHER_NONE), "none");
	assert_string_equal(pt_cipher_name(4), "unknown");
}

static void test_no_names(void **state)
{
	static const char *const names[] = {
		"", "none", "aes", "aes-128-gcm ", "AES-128-GCM", "aes-128-cbc",
	};
	enum pt_cipher cipher = PT_CIPHER_AES_256_GCM;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(pt_cipher_parse(names[i], &cipher), -EINVAL);
	assert_int_equal(cipher, PT_CIPHER_AES_256_GCM);
}

/* On any CPU the choice is in the set, the order is the same for all sets, and
 * AES-128 precedes AES-256 in it. */
static void test_choice(void **state)
{
	enum pt_cipher best, second;

	(void)state;
	assert_int_equal(pt_cipher_choose(0), PT_CIPHER_NONE);
	assert_int_equal(pt_cipher_choose(1 | 0xfff0), PT_CIPHER_NONE);
	for (__u16 set = 2; set < 16; set += 2)
		assert_true(set & PT_CIPHER_BIT(pt_cipher_choose(set)));
	best = pt_cipher_choose(pt_ciphers_here());
	assert_int_not_equal(best, PT_CIPHER_AES_256_GCM);
	for (__u16 set = 2; set < 16; set += 2)
		if (set & PT_CIPHER_BIT(best))
			assert_int_equal(pt_cipher_choose(set), best);
	second = pt_cipher_choose(pt_ciphers_here() & ~PT_CIPHER_BIT(best));
	assert_int_equal(second, best == PT_CIPHER_AES_128_GCM ?
			 PT_CIPHER_AES_256_GCM : PT_CIPHER_AES_128_GCM);
}

/* libcrypto has all ciphers that are offered. */
static void test_here(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pt_seal_cfg cfg = {
			.cipher = rows[i].cipher, .rekey_log2 = 22
		};
		struct pt_seal *seal = NULL;

		assert_int_equal(pt_seal_create(&seal, &cfg), 0);
		assert_non_null(seal);
		pt_seal_destroy(seal);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_numbers),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_here),
	};

	return cmocka_run_group_tests_name("cipher", tests, NULL, NULL);
}
