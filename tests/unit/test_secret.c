/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Memory of keys, as /proc/self/smaps shows it, and which keys are in it. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include <cmocka.h>

#include "base/secret.h"
#include "seal/seal.h"

/* flags_of copies the flags of the mapping that p is in: "rd wr mr ... lo dd". */
static void flags_of(const void *p, char flags[256])
{
	FILE *in = fopen("/proc/self/smaps", "r");
	uintptr_t from, to, at = (uintptr_t)p;
	bool is_in = false;
	char line[512];

	assert_non_null(in);
	flags[0] = '\0';
	while (!flags[0] && fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			is_in = at >= from && at < to;
		else if (is_in && !strncmp(line, "VmFlags:", 8))
			snprintf(flags, 256, "%.250s", line + 8);
	}
	fclose(in);
	assert_int_not_equal(flags[0], '\0');
}

static void assert_zeroes(const unsigned char *p, size_t sz)
{
	for (size_t i = 0; i < sz; i++)
		assert_int_equal(p[i], 0);
}

/* Before begin, as in a program that embeds the library. */
static void test_ordinary(void **state)
{
	unsigned char *p = pt_secret_alloc(100);

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % 64, 0);
	assert_false(CRYPTO_secure_allocated(p));
	assert_zeroes(p, 100);
	pt_secret_free(p, 100);
	pt_secret_free(NULL, 100);
}

static void test_locked_and_not_dumped(void **state)
{
	unsigned char *p;
	char flags[256];

	(void)state;
	assert_true(pt_secret_begin());
	p = pt_secret_alloc(100);
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % 64, 0);
	assert_zeroes(p, 100);
	flags_of(p, flags);
	assert_non_null(strstr(flags, " lo"));
	assert_non_null(strstr(flags, " dd"));
	pt_secret_free(p, 100);
}

/* The arena stays mapped.  A free block begins with two pointers. */
static void test_wiped(void **state)
{
	unsigned char *p = pt_secret_alloc(1024);

	(void)state;
	assert_true(CRYPTO_secure_allocated(p));
	memset(p, 0xa5, 1024);
	pt_secret_free(p, 1024);
	assert_zeroes(p + 64, 1024 - 64);
}

/* A seal's secrets and key schedules are there. */
static void test_seal(void **state)
{
	const struct pt_seal_cfg cfg = {
		.cipher = PT_CIPHER_AES_128_GCM,
		.rekey_log2 = PT_REKEY_LOG2_MIN,
	};
	const size_t before = CRYPTO_secure_used();
	struct pt_seal *seal;

	(void)state;
	assert_int_equal(pt_seal_create(&seal, &cfg), 0);
	assert_true(CRYPTO_secure_allocated(seal));
	assert_true(CRYPTO_secure_used() > before);
	pt_seal_destroy(seal);
	assert_int_equal(CRYPTO_secure_used(), before);
}

/* The rest is ordinary where our half is full, and OpenSSL has its own half. */
static void test_full(void **state)
{
	enum { CNT = 2 * PT_SECRET_ARENA_SZ / 4096 };
	static void *p[CNT];
	int in_arena = 0;
	void *theirs;

	(void)state;
	for (int i = 0; i < CNT; i++) {
		p[i] = pt_secret_alloc(4096);
		assert_non_null(p[i]);
		in_arena += CRYPTO_secure_allocated(p[i]);
	}
	assert_in_range(in_arena, CNT / 4 - 8, CNT / 4);
	theirs = OPENSSL_secure_malloc(PT_SECRET_ARENA_SZ / 4);
	assert_non_null(theirs);
	OPENSSL_secure_free(theirs);
	for (int i = 0; i < CNT; i++)
		pt_secret_free(p[i], 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_locked_and_not_dumped),
		cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
