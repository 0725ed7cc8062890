// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Sealed frames: from the builder to the reader, and forged ones.
 * test_vectors.c has their bytes. */
#include "seal_kit.h"

/* opens: rx accepts the frame.  The bytes stay unchanged. */
static bool opens(const __u8 *bytes, __u32 sz, struct pt_seal *rx)
{
	struct kit_spans s;
	struct pt_reader r;
	bool ok;

	kit_cut(&s, bytes, sz, sz, sz);
	ok = pt_reader_open(&r, s.spans, s.cnt) == PT_VERDICT_STEERED &&
	     pt_reader_unseal(&r, rx);
	kit_free(&s);
	return ok;
}

/* passes: a frame that one end seals as number seq opens at the other. */
static bool passes(const struct ends *e, __u64 seq)
{
	return opens(frame, write_frame(e->tx, seq), e->rx);
}

/* ---- there and back ---- */

static void assert_blocks(struct pt_reader *r, __u64 mask)
{
	struct pt_record_host rec;
	unsigned int got;

	while (pt_reader_next(r, &rec)) {
		assert_true(rec.mask == (mask & ~0ULL << rec.first &
					 ~0ULL >> (63 - rec.last)));
		while (rec.mask) {
			const __u8 *at = pt_reader_blocks(r, 64, &got);

			assert_non_null(at);
			for (; got--; at += 64, rec.mask &= rec.mask - 1)
				assert_memory_equal(at, &page[64 *
					__builtin_ctzll(rec.mask)], 64);
		}
	}
}

/* Pages of any mask on any link, cut into any pieces, padded or not. */
static void test_there_and_back(void **state)
{
	struct ends e = open_ends((enum pt_cipher)(long)*state);
	struct pt_frame_id id = kit_id;
	__u64 random = 7;

	kit_fill(page, sizeof(page), &random);
	for (id.seq = 0; id.seq < 2000; id.seq++) {
		const struct pt_link *link =
			&kit_links[id.seq % COUNT_OF(kit_links)].link;
		struct pt_builder_cfg cfg = kit_cfg(link, 9000);
		__u64 mask = kit_mask(&random);
		struct kit_spans s;
		struct pt_builder b;
		struct pt_reader r;
		__u32 sz;

		cfg.pad = kit_random(&random) >> 63;
		pt_builder_init(&b, &cfg);
		for (__u64 gfn = 0; ; gfn++)
			if (pt_builder_add_page(&b, gfn, 0, mask, page) < 64 ||
			    gfn == 5)
				break;
		sz = pt_builder_close(&b, link, &id, e.tx, frame);
		kit_cut(&s, frame, sz, 1792 + kit_random(&random) % 2048,
			512 + kit_random(&random) % 3584);
		assert_int_equal(pt_reader_open(&r, s.spans, s.cnt),
				 PT_VERDICT_STEERED);
		assert_true(r.is_sealed);
		assert_false(pt_reader_auth_ok(&r));
		assert_true(pt_reader_unseal(&r, e.rx));
		assert_blocks(&r, mask);
		kit_free(&s);
	}
	close_ends(&e);
}

/* Neither the contents nor two equal frames are recognizable. */
static void test_nothing_in_clear(void **state)
{
	struct ends e = open_ends((enum pt_cipher)(long)*state);
	static __u8 before[FRAME_SZ_MAX];
	__u64 random = 8;
	__u32 sz;

	kit_fill(page, sizeof(page), &random);
	sz = write_frame(e.tx, 0);
	memcpy(before, frame, sz);
	assert_int_equal(write_frame(e.tx, 1), sz);
	for (__u32 at = 0; at + 8 <= sz; at++) {
		assert_null(memmem(page, sizeof(page), frame + at, 8));
		if (at >= PAYLOAD_OFF + PT_HIDDEN_OFF)
			assert_memory_not_equal(frame + at, before + at, 8);
	}
	close_ends(&e);
}

/* A frame that was opened is in clear, and can be read from its bytes again. */
static void test_open_again(void **state)
{
	struct ends e = open_ends((enum pt_cipher)(long)*state);
	__u32 sz = write_frame(e.tx, 7);
	struct pt_reader r, again;
	struct kit_spans s;
	__u64 random = 9;

	kit_fill(page, sizeof(page), &random);
	sz = write_frame(e.tx, 8);
	kit_cut(&s, frame, sz, 200, 33);
	assert_int_equal(pt_reader_open(&r, s.spans, s.cnt),
			 PT_VERDICT_STEERED);
	assert_false(r.is_sound);
	assert_true(pt_reader_unseal(&r, e.rx));
	assert_true(r.is_sound);
	pt_reader_open_again(&again, s.spans, s.cnt);
	assert_memory_equal(&again.id, &r.id, sizeof(r.id));
	assert_int_equal(again.record_cnt, r.record_cnt);
	assert_int_equal(again.block_cnt, r.block_cnt);
	assert_blocks(&again, 0x8000000000000003ULL);
	kit_free(&s);
	close_ends(&e);
}

/* Records that do not lie in the first piece are refused once they are in clear,
 * however authentic they are. */
static void test_records_in_pieces(void **state)
{
	struct ends e = open_ends(PT_CIPHER_AES_128_GCM);
	const __u32 records_off = PAYLOAD_OFF + PT_FRAME_HDR_SZ;
	struct kit_spans s;
	struct pt_reader r;
	__u32 sz;

	(void)state;
	for (__u32 cut = 0; cut <= PT_RECORD_SZ; cut++) {
		sz = write_frame(e.tx, 3 + cut);
		kit_cut(&s, frame, sz, records_off + cut, 100);
		assert_int_equal(pt_reader_open(&r, s.spans, s.cnt),
				 PT_VERDICT_STEERED);
		assert_true(pt_reader_unseal(&r, e.rx));
		assert_int_equal(r.is_sound, cut == PT_RECORD_SZ);
		kit_free(&s);
	}
	close_ends(&e);
}

/* ---- forged and damaged frames ---- */

/* Each changed bit of the payload is detected, and the original frame still
 * opens after all those attempts. */
static void test_each_bit_counts(void **state)
{
	struct ends e = open_ends((enum pt_cipher)(long)*state);
	__u32 sz = write_frame(e.tx, 3);

	for (__u32 at = PAYLOAD_OFF; at < sz; at++)
		for (int bit = 0; bit < 8; bit++) {
			frame[at] ^= 1 << bit;
			assert_false(opens(frame, sz, e.rx));
			frame[at] ^= 1 << bit;
		}
	assert_true(opens(frame, sz, e.rx));
	close_ends(&e);
}

/* The pad between records and blocks, in pieces: covered, each byte, as the
 * first of a block is. */
static void test_pieces_of_the_pad(void **state)
{
	struct ends e = open_ends(PT_CIPHER_AES_128_GCM);
	const __u32 records_end = PAYLOAD_OFF + 64 + 16;
	__u32 sz = write_frame(e.tx, 3);
	struct kit_spans s;
	struct pt_reader r;

	(void)state;
	for (__u32 piece_sz = 14; piece_sz < 40; piece_sz++)
		for (__u32 at = records_end; at <= records_end + 6; at++) {
			frame[at] ^= 1;
			kit_cut(&s, frame, sz, records_end + at % 3, piece_sz);
			assert_int_equal(pt_reader_open(&r, s.spans, s.cnt),
					 PT_VERDICT_STEERED);
			assert_false(pt_reader_unseal(&r, e.rx));
			kit_free(&s);
			frame[at] ^= 1;
			kit_cut(&s, frame, sz, records_end + at % 3, piece_sz);
			assert_int_equal(pt_reader_open(&r, s.spans, s.cnt),
					 PT_VERDICT_STEERED);
			assert_true(pt_reader_unseal(&r, e.rx));
			kit_free(&s);
		}
	close_ends(&e);
}

static void test_wrong_keys(void **state)
{
	struct pt_seal *other_lane = make(PT_CIPHER_AES_256_GCM, 0x12);
	struct pt_seal *other_cipher = make(PT_CIPHER_CHACHA20_POLY1305, 0x11);
	struct ends e = open_ends(PT_CIPHER_AES_256_GCM);
	__u32 sz = write_frame(e.tx, 0);

	(void)state;
	assert_false(opens(frame, sz, other_lane));
	assert_false(opens(frame, sz, other_cipher));
	assert_true(opens(frame, sz, e.rx));
	pt_seal_destroy(other_lane);
	pt_seal_destroy(other_cipher);
	close_ends(&e);
}

static void test_not_sealed(void **state)
{
	struct ends e = open_ends(PT_CIPHER_AES_128_GCM);

	(void)state;
	assert_false(opens(frame, write_frame(NULL, 0), e.rx));
	close_ends(&e);
}

/* ---- epochs ---- */

static void test_epochs(void **state)
{
	struct ends e = open_ends((enum pt_cipher)(long)*state);
	static __u8 first[FRAME_SZ_MAX], second[FRAME_SZ_MAX];
	__u32 sz;

	write_frame(e.tx, EPOCH(0));
	memcpy(first, frame, sizeof(first));
	assert_true(passes(&e, EPOCH(1) - 1));
	write_frame(e.tx, EPOCH(1));
	memcpy(second, frame, sizeof(second));
	sz = write_frame(e.tx, EPOCH(1) + 1);
	assert_true(opens(frame, sz, e.rx));
	assert_true(opens(first, sz, e.rx));	/* late */
	assert_true(opens(second, sz, e.rx));
	assert_true(passes(&e, EPOCH(2)));
	assert_false(opens(first, sz, e.rx));	/* its key is gone */
	assert_true(opens(second, sz, e.rx));
	assert_true(passes(&e, EPOCH(3) - 1));
	close_ends(&e);
}

static void test_epochs_that_were_lost(void **state)
{
	struct ends e = open_ends(PT_CIPHER_AES_128_GCM);
	__u64 far = EPOCH(1 + PT_SEAL_AHEAD_MAX);

	(void)state;
	assert_true(passes(&e, EPOCH(1)));
	assert_true(passes(&e, far));
	assert_false(passes(&e, far + EPOCH(PT_SEAL_AHEAD_MAX + 1)));
	close_ends(&e);
}

/* A forged frame of an epoch far ahead changes nothing. */
static void test_forged_epoch(void **state)
{
	struct ends e = open_ends(PT_CIPHER_AES_128_GCM);
	struct pt_seal *later = make(PT_CIPHER_AES_128_GCM, 0x11);
	static __u8 early[FRAME_SZ_MAX];
	__u32 sz = write_frame(e.tx, 7);

	(void)state;
	memcpy(early, frame, sizeof(early));
	assert_true(passes(&e, EPOCH(1)));
	for (__u64 epoch = 2; epoch < 20; epoch++) {
		write_frame(later, EPOCH(epoch));
		frame[sz - 1] ^= 1;
		assert_false(opens(frame, sz, e.rx));
		assert_true(opens(early, sz, e.rx));
	}
	assert_true(passes(&e, EPOCH(1) + 1));
	assert_true(passes(&e, EPOCH(19)));	/* looked ahead for already */
	assert_false(opens(early, sz, e.rx));
	assert_true(passes(&e, EPOCH(20)));
	pt_seal_destroy(later);
	close_ends(&e);
}

/* Probes have numbers of their own and one key: a lane that probes again, in
 * any epoch, continues them. */
static void test_probes(void **state)
{
	struct ends e = open_ends((enum pt_cipher)(long)*state);
	static const __u32 szs[] = { 106, 107, 1294, 9014, FRAME_SZ_MAX - 4 };
	struct pt_frame_id id = kit_id;

	id.generation = 0;
	id.seq = 0;
	for (int epoch = 0; epoch < 4; epoch++) {
		assert_true(passes(&e, EPOCH(epoch)));
		for (size_t i = 0; i < COUNT_OF(szs); i++, id.seq++) {
			pt_probe_write(LINK, &id, szs[i], e.tx, frame);
			assert_true(opens(frame, szs[i], e.rx));
			frame[PAYLOAD_OFF + 23] ^= 1;	/* its number */
			assert_false(opens(frame, szs[i], e.rx));
		}
	}
	close_ends(&e);
}

/* ---- padding ---- */

static void test_padded_frames_are_equal(void **state)
{
	struct pt_seal *tx = make(PT_CIPHER_AES_128_GCM, 0x11);
	struct pt_frame_id id = kit_id;

	(void)state;
	id.seq = 0;
	for (size_t l = 0; l < COUNT_OF(kit_links); l++)
		for (size_t m = 0; m < COUNT_OF(kit_mtus); m++) {
			const struct pt_link *link = &kit_links[l].link;
			struct pt_builder_cfg cfg = kit_cfg(link, kit_mtus[m]);
			__u32 want = cfg.frame_sz_max -
				     (cfg.frame_sz_max - (link->vlan ? 4 : 0)) %
				     64;
			struct pt_builder b;

			cfg.pad = true;
			for (__u32 pages = 1; pages <= 72; pages += 13) {
				pt_builder_init(&b, &cfg);
				for (__u32 i = 0; i < pages; i++)
					pt_builder_add_page(&b, i, 0, i & 1,
							    page);
				id.seq++;
				assert_int_equal(pt_builder_frame_sz(&b), want);
				assert_int_equal(pt_builder_close(&b, link,
						 &id, tx, frame), want);
			}
		}
	pt_seal_destroy(tx);
}

/* ---- abandoned frames ---- */

/* A frame that is begun and abandoned, as when a source is cut short while it is
 * read, uses up its number.  The next frame is like any other. */
static void test_frame_left_half_way(void **state)
{
	struct ends e = open_ends((enum pt_cipher)(long)*state);
	const struct pt_span nothing = { NULL, 0 };
	__u8 bytes[1024];

	pt_seal_start(e.tx, PT_FRAME_DATA, 0, nothing);
	pt_seal_put(e.tx, bytes, page, 1024);
	assert_true(passes(&e, 1));
	pt_seal_start(e.tx, PT_FRAME_DATA, 2, nothing);
	pt_seal_put(e.tx, bytes, page, 64);
	assert_true(passes(&e, 3));
	close_ends(&e);
}

static void twice(__u64 first, __u64 second)
{
	struct pt_seal *tx = make_rekeyed(PT_CIPHER_AES_128_GCM, 0x11,
					  PT_REKEY_LOG2_MAX);

	write_frame(tx, first);
	write_frame(tx, second);
}

static void probe_twice(__u64 first, __u64 second)
{
	struct ends e = open_ends(PT_CIPHER_AES_128_GCM);
	struct pt_frame_id id = kit_id;

	id.generation = 0;
	id.seq = first;
	pt_probe_write(LINK, &id, 200, e.tx, frame);
	id.seq = second;
	pt_probe_write(LINK, &id, 200, e.tx, frame);
}

static void ascending(void)	{ twice(5, PT_SEALED_SEQ_MAX); }
static void repeated(void)	{ twice(5, 5); }
static void descending(void)	{ twice(5, 4); }
static void epoch_before(void)	{ twice(EPOCH(1), 5); }
static void too_high(void)	{ twice(5, PT_SEALED_SEQ_MAX + 1); }
static void probes(void)	{ probe_twice(0, PT_SEALED_PROBE_MAX); }
static void probe_again(void)	{ probe_twice(3, 3); }
static void probe_too_high(void) { probe_twice(0, PT_SEALED_PROBE_MAX + 1); }

static void padded_not_sealed(void)
{
	struct pt_builder_cfg cfg = kit_cfg(LINK, 1280);
	struct pt_builder b;

	cfg.pad = true;
	pt_builder_init(&b, &cfg);
	pt_builder_add_page(&b, 1, 0, 1, page);
	pt_builder_close(&b, LINK, &kit_id, NULL, frame);
}

static void rekey_too_late(void)
{
	struct pt_seal_cfg cfg = {
		.cipher = 1, .rekey_log2 = 23, .lib = aead_kit_lib,
	};
	struct pt_seal *s;

	pt_seal_create(&s, &cfg);
}

static void test_no_nonce_twice(void **state)
{
	(void)state;
	assert_false(kit_aborts(ascending));
	assert_true(kit_aborts(repeated));
	assert_true(kit_aborts(descending));
	assert_true(kit_aborts(epoch_before));
	assert_true(kit_aborts(too_high));
	assert_true(kit_aborts(probe_again));
	assert_true(kit_aborts(probe_too_high));
	assert_false(kit_aborts(probes));
	assert_true(kit_aborts(padded_not_sealed));
	assert_true(kit_aborts(rekey_too_late));
}

#define OF_EACH_CIPHER(test)						\
	{ #test " AES-128-GCM", test, NULL, NULL, (void *)1 },		\
	{ #test " AES-256-GCM", test, NULL, NULL, (void *)2 },		\
	{ #test " ChaCha20-Poly1305", test, NULL, NULL, (void *)3 }

int main(void)
{
	static const struct CMUnitTest tests[] = {
		OF_EACH_CIPHER(test_there_and_back),
		OF_EACH_CIPHER(test_nothing_in_clear),
		OF_EACH_CIPHER(test_open_again),
		cmocka_unit_test(test_records_in_pieces),
		OF_EACH_CIPHER(test_each_bit_counts),
		cmocka_unit_test(test_pieces_of_the_pad),
		cmocka_unit_test(test_wrong_keys),
		cmocka_unit_test(test_not_sealed),
		OF_EACH_CIPHER(test_epochs),
		cmocka_unit_test(test_epochs_that_were_lost),
		cmocka_unit_test(test_forged_epoch),
		OF_EACH_CIPHER(test_probes),
		cmocka_unit_test(test_padded_frames_are_equal),
		OF_EACH_CIPHER(test_frame_left_half_way),
		cmocka_unit_test(test_no_nonce_twice),
	};

	return aead_kit_run("seal", tests, COUNT_OF(tests));
}
