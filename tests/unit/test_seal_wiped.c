// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Keys and secrets leave the process's memory when they are no longer needed:
 * all that can be written to is searched for them. */
#include "seal_kit.h"

#include <openssl/crypto.h>

#define NEEDLE_SZ	16
#define SHADOW_SZ_MIN	(1ULL << 30)	/* a sanitizer's, not ours */

/* count_of: how often bytes stand in memory that can be written to; they are
 * given turned over, so that the test itself has none. */
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

static void make_cfg(struct pt_seal_cfg *cfg)
{
	*cfg = (struct pt_seal_cfg){
		.cipher = PT_CIPHER_AES_128_GCM, .rekey_log2 = REKEY,
		.lib = aead_kit_lib,
	};
	for (size_t i = 0; i < sizeof(cfg->secret); i++)
		cfg->secret[i] = i;
}

/* Keys of secret 00 01 .. 1f, as docs/wire-format.md has them, turned over. */
static const __u8 turned_secret[NEEDLE_SZ] = {	/* its bytes 8..23 */
	0xf7, 0xf6, 0xf5, 0xf4, 0xf3, 0xf2, 0xf1, 0xf0,
	0xef, 0xee, 0xed, 0xec, 0xeb, 0xea, 0xe9, 0xe8,
};
static const __u8 turned_secret_1[NEEDLE_SZ] = {	/* of epoch 1 */
	0xa4, 0x6d, 0x79, 0x5c, 0x3c, 0x33, 0x17, 0xa2,
	0x89, 0x72, 0x2e, 0x1e, 0x32, 0xff, 0x4a, 0xe9,
};
static const __u8 turned_key_0[NEEDLE_SZ] = {
	0x42, 0x1d, 0xce, 0xc1, 0x07, 0xf0, 0x42, 0xde,
	0xd3, 0x53, 0x7a, 0x2b, 0x92, 0x0b, 0x4a, 0xe7,
};
static const __u8 turned_key_1[NEEDLE_SZ] = {
	0xa9, 0x5e, 0x80, 0x19, 0xdc, 0xbd, 0xec, 0xd9,
	0xcd, 0xbb, 0x90, 0xec, 0x95, 0x4e, 0x56, 0xc4,
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

/* What opens probes alone tells nothing of data frames. */
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
