/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sealed frames at a receive queue, placed by its thread and by placers: the
 * contents of an authentic frame are judged once they are in clear, and a frame
 * whose contents break a rule is counted and not placed. */
#include "rx_queue_kit.h"

#define PAYLOAD_OFF	42		/* of frames over kit_links[0] */

static struct pt_seal *peer;		/* the sender's */

static struct pt_seal *make_seal(void)
{
	const struct pt_seal_cfg cfg = {
		.cipher = PT_CIPHER_AES_128_GCM,
		.rekey_log2 = PT_REKEY_LOG2_MIN,
	};
	struct pt_seal *seal = NULL;

	assert_int_equal(pt_seal_create(&seal, &cfg), 0);
	return seal;
}

static int seal_all(void **state)
{
	start(state);
	all_lock();
	intake.is_sealed = true;
	for (int i = 0; i < LANES; i++) {
		lanes[i].seal = make_seal();
		lanes[i].probe_seal = make_seal();
		pt_seal_keep_probes(lanes[i].probe_seal);
	}
	all_unlock();
	peer = make_seal();
	return 0;
}

static int seal_apart(void **state)
{
	kit_apart = true;
	return seal_all(state);
}

static int unseal_all(void **state)
{
	pt_seal_destroy(peer);
	kit_apart = false;
	return stop(state);
}

/* seal makes a frame in clear a sealed one, contents as they are. */
static void seal(__u32 sz)
{
	struct pt_frame_hdr *hdr = (void *)((__u8 *)frame + PAYLOAD_OFF);
	const __u64 seq = be64toh(hdr->seq);

	hdr->flags = PT_FLAG_SEALED;
	pt_seal_header(peer, hdr);
	pt_seal_start(peer, hdr->kind, seq, (struct pt_span){
		hdr, offsetof(struct pt_frame_hdr, auth) });
	pt_seal_here(peer, (__u8 *)hdr + PT_HIDDEN_OFF,
		     sz - PAYLOAD_OFF - PT_HIDDEN_OFF);
	pt_seal_finish(peer, hdr->auth);
}

/* put_changed seals and puts a frame, one byte of its payload changed before. */
static void put_changed(__u64 seq, __u32 off, __u8 with)
{
	__u32 sz = data_frame(&kit_links[0], 0, seq, LOW + seq, 1);

	((__u8 *)frame)[PAYLOAD_OFF + off] = with;
	seal(sz);
	put(0, frame, sz);
}

static void test_placed(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	for (__u64 seq = 0; seq < 100; seq++) {
		__u32 sz = data_frame(&kit_links[0], 0, seq, LOW + seq, ~0ULL);

		seal(sz);
		put(0, frame, sz);
	}
	ledger = settle();
	assert_int_equal(ledger.accepted, 100);
	assert_int_equal(ledger.placed, 100);
	for (__u64 seq = 0; seq < 100; seq++)
		assert_content(LOW + seq, page);
}

static void test_unsound_contents(void **state)
{
	static const struct {
		__u32 off;
		__u8 with;
	} changes[] = {
		{ 55, 0 },	/* generation 0 */
		{ 56, 0 },	/* no record */
		{ 56, 97 },
		{ 57, 3 },	/* a third method */
		{ 59, 64 },	/* data_off in the record */
		{ 61, 2 },	/* a block more than the payload has */
		{ 63, 1 },	/* a unit without a method */
		{ 64, 0 },	/* no kind of record */
		{ 72, 0xff },	/* more bits than blocks */
	};
	const __u64 cnt = COUNT_OF(changes);
	struct pt_ledger ledger;

	(void)state;
	for (__u64 i = 0; i < cnt; i++)
		put_changed(i, changes[i].off, changes[i].with);
	put_changed(cnt, 52, 0);	/* as it was */
	ledger = settle();
	assert_int_equal(ledger.refused_auth, 0);
	assert_int_equal(ledger.refused_record, cnt);
	assert_int_equal(ledger.accepted, 1);
	assert_int_equal(ledger.records, 1);
	for (__u64 i = 0; i < cnt; i++)
		assert_true(sink_is_hole(LOW + i));
	assert_false(sink_is_hole(LOW + cnt));
}

/* A probe whose contents are not sound is counted, and not answered. */
static void test_unsound_probe(void **state)
{
	const __u32 sz = 200;

	(void)state;
	for (__u64 number = 0; number < 2; number++) {
		probe_frame(&kit_links[0], 0, number, sz);
		((__u8 *)frame)[PAYLOAD_OFF + 56] = number;	/* record_cnt */
		seal(sz);
		put(0, frame, sz);
	}
	settle();
	assert_int_equal(seen_cnt, 1);
	assert_int_equal(seen.probe, 0);
}

#define SEALED(fn)							\
	{ #fn, fn, seal_all, unseal_all, NULL },			\
	{ #fn ", placed apart", fn, seal_apart, unseal_all, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		SEALED(test_placed),
		SEALED(test_unsound_contents),
		cmocka_unit_test_setup_teardown(test_unsound_probe, seal_all,
						unseal_all),
	};

	return cmocka_run_group_tests_name("rx sealed", tests, group_start,
					   NULL);
}
