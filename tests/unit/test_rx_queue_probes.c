// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Probes at a queue's thread: answered once, and counted every time. */
#include "rx_queue_kit.h"

static void test_probes(void **state)
{
	(void)state;
	put(1, frame, probe_frame(&kit_links[0], 0, 77, 1500));
	settle();
	assert_int_equal(seen_cnt, 1);
	assert_int_equal(seen.lane, 0);
	assert_int_equal(seen.probe, 77);
	assert_int_equal(seen.frame_sz, 1500);
	assert_int_equal(seen.queue, 1);
	/* A damaged probe has no content, but XDP steered it. */
	probe_frame(&kit_links[0], 0, 78, 1500);
	frame[1499] ^= 1;
	put(1, frame, 1500);
	settle();
	assert_int_equal(seen_cnt, 1);
}

/* A repeated probe is counted, and not answered again, on any queue. */
static void test_probes_repeated(void **state)
{
	const struct pt_seal_cfg cfg = {
		.cipher = PT_CIPHER_AES_128_GCM,
		.rekey_log2 = PT_REKEY_LOG2_MIN,
	};
	struct pt_frame_id id = { .session_id = SESSION, .seq = 7 };
	struct pt_seal *tx;

	(void)state;
	assert_int_equal(pt_seal_create(&tx, &cfg), 0);
	assert_int_equal(pt_seal_create(&lanes[0].probe_seal, &cfg), 0);
	intake.is_sealed = true;
	for (; id.seq < 9; id.seq++) {
		pt_probe_write(&kit_links[0].link, &id, 1500, tx, frame);
		for (int i = 0; i < 10; i++)
			put(i % QUEUES, frame, 1500);
	}
	probe_cnt = 20;
	settle();
	assert_int_equal(seen_cnt, 2);
	pt_seal_destroy(tx);
}

/* Probes of one lane on two queues at once: none is lost to the count. */
static void *put_probes(void *arg)
{
	const int queue = (intptr_t)arg;
	__u8 bytes[256];
	const struct pt_frame_id id = { .session_id = SESSION, .lane = 0 };

	pt_probe_write(&kit_links[0].link, &id, sizeof(bytes), NULL, bytes);
	for (int i = 0; i < 100000; i++)
		put(queue, bytes, sizeof(bytes));
	return NULL;
}

static void test_probes_on_two_queues(void **state)
{
	pthread_t other;

	(void)state;
	assert_int_equal(pthread_create(&other, NULL, put_probes, (void *)1),
			 0);
	put_probes((void *)0);
	pthread_join(other, NULL);
	probe_cnt = 200000;
	settle();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_probes),
		TEST(test_probes_repeated),
		TEST(test_probes_on_two_queues),
	};

	return cmocka_run_group_tests(tests, group_start, NULL);
}
