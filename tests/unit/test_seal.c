// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include "wire/reader.h"

static __u8 page[PT_PAGE_SZ];
static __u8 frame[FRAME_SZ_MAX] __attribute__((aligned(64)));

static struct pt_seal *make(enum pt_cipher cipher, __u8 rekey_log2)
{
	struct pt_seal_cfg cfg = { .cipher = cipher, .rekey_log2 = rekey_log2 };
	struct pt_seal *s = NULL;

	memset(cfg.secret, 0x11, sizeof(cfg.secret));
	memset(cfg.header_key, 0x22, sizeof(cfg.header_key));
	assert_int_equal(pt_seal_create(&s, &cfg), 0);
	return s;
}

static void test_there_and_back(void **state)
{
	enum pt_cipher cipher = (enum pt_cipher)(long)*state;
	struct pt_seal *tx = make(cipher, 16), *rx = make(cipher, 16);
	struct pt_builder_cfg cfg = kit_cfg(&kit_links[0].link, 9000);
	struct pt_frame_id id = kit_id;
	struct pt_builder b;
	struct pt_reader r;
	struct pt_span span = { frame, 0 };
	struct pt_record_host rec;
	unsigned int got;
	__u64 random = 7;

	kit_fill(page, sizeof(page), &random);
	id.seq = 7;
	pt_builder_init(&b, &cfg);
	pt_builder_add_page(&b, 5, 0, ~0ULL, page);
	span.sz = pt_builder_close(&b, &kit_links[0].link, &id, tx, frame);
	assert_int_equal(pt_reader_open(&r, &span, 1), PT_VERDICT_STEERED);
	assert_true(pt_reader_unseal(&r, rx));
	assert_true(pt_reader_next(&r, &rec));
	assert_memory_equal(pt_reader_blocks(&r, 64, &got), page, PT_PAGE_SZ);
	pt_seal_destroy(tx);
	pt_seal_destroy(rx);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "AES-128-GCM", test_there_and_back, NULL, NULL, (void *)1 },
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
