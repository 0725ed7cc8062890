// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Keys and secrets are wiped from the process's memory when they are no longer
 * needed: the test searches all writable memory. */
#include "seal_kit.h"

#include <openssl/crypto.h>

#define NEEDLE_SZ	16
#define SHADOW_SZ_MIN	(1ULL << 30)	/* a sanitizer's, not ours */

/* count_of returns how often bytes occur in writable memory; the argument is
 * reversed, so that the test itself holds no match. */
static __attribute__((no_sanitize("address"))) unsigned int
count_of(const __u8 turned[NEEDLE_SZ])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	unsigned int cnt = 0;
	char line[512], mode[5];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 ||
		    strncmp(mode, "rw", 2) || to - from > SHADOW_SZ_MIN)
			continue;
		for (const __u8 *at = (void *)from;
		     at + NEEDLE_SZ <= (const __u8 *)to; at++) {
			int i = 0;

			while (i < NEEDLE_SZ && at[i] + turned[i] == 255)
				i++;
			cnt += i == NEEDLE_SZ;
		}
	}
	fclose(maps);
	return cnt;
}

/* The secret: a pattern that no library's self-test leaves behind. */
static __u8 secret_byte(unsigned int i)
{
	return 7 * i * i + 3 * i + 0x51;
}

static void make_cfg(struct pt_seal_cfg *cfg)
{
	*cfg = (struct pt_seal_cfg){
		.cipher = PT_CIPHER_AES_128_GCM, .rekey_log2 = REKEY,
		.lib = aead_kit_lib,
	};
	for (unsigned int i = 0; i < sizeof(cfg->secret); i++)
		cfg->secret[i] = secret_byte(i);
}

/* The secret, and its keys by the schedule of docs/wire-format.md, reversed;
 * bytes 8..23 of secrets. */
static const __u8 turned_secret[NEEDLE_SZ] = {
	0xd6, 0x5c, 0xd4, 0x3e, 0x9a, 0xe8, 0x28, 0x5a,
	0x7e, 0x94, 0x9c, 0x96, 0x82, 0x60, 0x30, 0xf2,
};
static const __u8 turned_secret_1[NEEDLE_SZ] = {	/* of epoch 1 */
	0xb0, 0x8c, 0x6b, 0x53, 0x5a, 0xa2, 0x33, 0x4f,
	0xd3, 0xa6, 0x14, 0xb2, 0x10, 0x44, 0xb4, 0xca,
};
static const __u8 turned_key_0[NEEDLE_SZ] = {
	0x5c, 0xa8, 0x07, 0xd8, 0x75, 0x6b, 0xa5, 0x4e,
	0x4d, 0x50, 0x6e, 0x2e, 0x11, 0x6f, 0xe8, 0x97,
};
static const __u8 turned_key_1[NEEDLE_SZ] = {
	0xda, 0x53, 0x8e, 0xfc, 0xd1, 0x54, 0x81, 0x74,
	0x7c, 0xe7, 0x25, 0x3c, 0x88, 0x73, 0x90, 0x4d,
};

static void test_keys_are_wiped(void **state)
{
	struct pt_seal_cfg cfg;
	struct pt_seal *tx = NULL;

	(void)state;
	make_cfg(&cfg);
	assert_int_equal(pt_seal_create(&tx, &cfg), 0);
	OPENSSL_cleanse(&cfg, sizeof(cfg));
	assert_int_equal(count_of(turned_secret), 1);
	assert_int_not_equal(count_of(turned_key_0), 0);

	write_frame(tx, EPOCH(1));
	assert_int_equal(count_of(turned_secret), 0);
	assert_int_equal(count_of(turned_key_0), 0);
	assert_int_not_equal(count_of(turned_key_1), 0);
	assert_int_equal(count_of(turned_secret_1), 1);

	pt_seal_destroy(tx);
	assert_int_equal(count_of(turned_key_1), 0);
	assert_int_equal(count_of(turned_secret_1), 0);
	pt_seal_destroy(NULL);
}

/* The keys of probes do not reveal those of data frames. */
static void test_probes_alone(void **state)
{
	struct pt_frame_id id = kit_id;
	struct pt_seal_cfg cfg;
	struct pt_seal *seal = NULL, *other = NULL;
	struct pt_span span = { frame, 0 };
	struct pt_reader r;

	(void)state;
	make_cfg(&cfg);
	assert_int_equal(pt_seal_create(&seal, &cfg), 0);
	pt_seal_keep_probes(seal);
	OPENSSL_cleanse(&cfg, sizeof(cfg));
	assert_int_equal(count_of(turned_secret), 0);
	assert_int_equal(count_of(turned_key_0), 0);

	make_cfg(&cfg);
	assert_int_equal(pt_seal_create(&other, &cfg), 0);
	OPENSSL_cleanse(&cfg, sizeof(cfg));
	for (int epoch = 0; epoch < 3; epoch++) {
		span.sz = write_frame(other, EPOCH(epoch));
		assert_int_equal(pt_reader_open(&r, &span, 1),
				 PT_VERDICT_STEERED);
		assert_false(pt_reader_unseal(&r, seal));
	}
	id.generation = 0;
	id.seq = 0;
	pt_probe_write(LINK, &id, span.sz, other, frame);
	assert_int_equal(pt_reader_open(&r, &span, 1), PT_VERDICT_STEERED);
	assert_true(pt_reader_unseal(&r, seal));
	pt_seal_destroy(seal);
	pt_seal_destroy(other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_wiped),
		cmocka_unit_test(test_probes_alone),
	};

	return aead_kit_run("seal wiped", tests, COUNT_OF(tests));
}
