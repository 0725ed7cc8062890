// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* An image at rest that is received: its log, and the sink. */
#include "ptrim_kit.h"

#include "image/ptrim_log.h"
#include "image/ptrim_sink.h"
#include "sink/image.h"
#include "sink/sink_run.h"

#define OUT		SCRATCH "/x.ptrim"
#define PARTIAL		OUT ".partial"
#define OFF		123456

static struct pt_error err;

/* ---- the log ---- */

static void test_log(void **state)
{
	static const struct pt_log_note note = {
		.page_cnt = 3, .copy_cnt = 2, .sz = 0x123456789abcULL,
		.pages = { 100000, 100000 - PT_LOG_FAR, 100000 + PT_LOG_FAR },
		.copies = { { 7, 1ULL << 62 | 9 }, { 1ULL << 35, 5 } },
	};
	__u8 bytes[PT_LOG_NOTE_MAX];
	struct pt_log_note got;
	__u32 sz = pt_log_sz(&note);

	(void)state;
	memset(&got, 0, sizeof(got));
	pt_log_encode(&note, OFF, bytes);
	assert_int_equal(pt_log_decode(&got, OFF, bytes, sizeof(bytes)), sz);
	assert_memory_equal(&got, &note, sizeof(note));
	for (__u32 left = 0; left < sz; left++)
		assert_int_equal(pt_log_decode(&got, OFF, bytes, left), 0);
	assert_int_equal(pt_log_decode(&got, OFF + 1, bytes, sz), 0);
	for (__u32 i = 0; i < sz; i++) {
		bytes[i] ^= 0x10;
		assert_int_equal(pt_log_decode(&got, OFF, bytes, sz), 0);
		bytes[i] ^= 0x10;
	}
	assert_int_equal(pt_log_decode(&got, OFF, bytes, sz), sz);
}

/* ---- the sink ---- */

static struct pt_sink *make(void)
{
	struct pt_sink *s;

	unlink(OUT);
	if (pt_ptrim_sink_create(&s, OUT, kit_layout, &err))
		fail_msg("%s", err.text);
	return s;
}

/* put places a page, in pieces of sz bytes. */
static void put(struct pt_sink *s, __u64 idx, const __u8 *page, __u32 sz)
{
	static struct pt_sink_run run;

	for (__u32 at = 0; at < PT_PAGE_SZ; at += sz) {
		assert_int_equal(pt_sink_run_add(&run, s, idx * PT_PAGE_SZ + at,
						 page + at, sz, &err), 0);
		if (sz != PT_PAGE_SZ)
			assert_int_equal(pt_sink_run_flush(&run, &err), 0);
	}
	if (pt_sink_run_flush(&run, &err))
		fail_msg("%s", err.text);
}

static void put_kit(struct pt_sink *s, __u64 first, __u64 end)
{
	__u8 page[PT_PAGE_SZ];

	for (__u64 i = first; i < end; i++) {
		kit_page(i, page);
		if (kit_state(i) == PT_PTRIM_DATA)
			put(s, i, page, i % 2 ? PT_PAGE_SZ : 1024);
		else if (kit_state(i) == PT_PTRIM_ZERO)
			assert_int_equal(pt_sink_zero(s, i * PT_PAGE_SZ,
						      PT_PAGE_SZ, &err), 0);
	}
}

static void assert_page(const struct pt_sink *s, __u64 idx, const __u8 *want)
{
	__u8 page[PT_PAGE_SZ];

	if (pt_sink_read(s, idx * PT_PAGE_SZ, page, PT_PAGE_SZ, &err))
		fail_msg("%s", err.text);
	assert_memory_equal(page, want, PT_PAGE_SZ);
}

static void end(struct pt_sink *s)
{
	assert_int_equal(pt_sink_mark(s, 4 * PT_PAGE_SZ, PT_PAGE_SZ, &err), 0);
	assert_int_equal(pt_sink_mark(s, 514 * PT_PAGE_SZ, PT_PAGE_SZ, &err), 0);
	assert_int_equal(pt_sink_file_begin(s, "device", 5, &err), 0);
	assert_int_equal(pt_sink_file_write(s, "sta", 3, &err), 0);
	assert_int_equal(pt_sink_file_write(s, "te", 2, &err), 0);
	if (pt_sink_sync(s, &err) || pt_sink_commit(s, &err))
		fail_msg("%s", err.text);
	pt_sink_close(s);
	assert_false(scratch_has(PARTIAL));
}

static void assert_kit(void)
{
	struct pt_ptrim *p;
	struct pt_ptrim_bytes file;

	assert_int_equal(kit_each(OUT, kit_is_right), 0);
	assert_int_equal(pt_ptrim_open(&p, OUT, NULL, &err), 0);
	assert_true(pt_ptrim_id_is_right(p));
	assert_int_equal(pt_ptrim_file_cnt(p), 1);
	assert_true(pt_ptrim_file(p, 0, &file));
	assert_memory_equal(file.bytes, "state", 5);
	pt_ptrim_close(p);
}

/* Pages come again, as in the rounds of a live transfer. */
static void test_again(void **state)
{
	struct pt_sink *s = make();
	__u8 page[PT_PAGE_SZ];

	(void)state;
	for (__u64 i = 0; i < 515; i++) {
		memset(page, i % 7, PT_PAGE_SZ);
		if (kit_state(i) != PT_PTRIM_ABSENT)
			put(s, i, page, PT_PAGE_SZ);
		if (kit_state(i) != PT_PTRIM_ABSENT)
			assert_page(s, i, page);
	}
	put_kit(s, 0, 515);
	for (__u64 i = 0; i < 3; i++) {
		kit_page(i, page);
		assert_page(s, i, page);
	}
	end(s);
	assert_kit();
}

static void test_not_committed(void **state)
{
	struct pt_sink *s = make();

	(void)state;
	put_kit(s, 0, 25);
	pt_sink_close(s);
	assert_false(scratch_has(OUT));
	assert_false(scratch_has(PARTIAL));
}

/* ---- resumed ---- */

static struct pt_sink *resume(void)
{
	struct pt_sink *s;

	if (pt_ptrim_sink_reopen(&s, OUT, kit_layout, &err) ||
	    pt_ptrim_sink_resume(s, &err))
		fail_msg("%s", err.text);
	return s;
}

/* leave: a transfer was lost with pages 0..15 in it. */
static void leave(void)
{
	struct pt_sink *s = make();

	if (pt_image_journal_write(pt_ptrim_sink_file(s), "j", 2, &err))
		fail_msg("%s", err.text);
	put_kit(s, 0, 16);
	assert_true(pt_sink_is_kept(s));
	pt_sink_close(s);
	assert_true(scratch_has(PARTIAL));
	assert_false(scratch_has(OUT));
}

static void test_resumed(void **state)
{
	__u8 page[PT_PAGE_SZ];
	struct pt_sink *s;
	__u64 from, to;

	(void)state;
	leave();
	s = resume();
	for (__u64 i = 0; i < 16; i++) {
		kit_page(i, page);
		if (kit_state(i) == PT_PTRIM_DATA)
			assert_page(s, i, page);
	}
	assert_true(pt_sink_data(s, 0, &from, &to));
	assert_int_equal(from, 0);
	assert_int_equal(to, 3 * PT_PAGE_SZ);
	assert_int_equal(pt_sink_zero(s, 3 * PT_PAGE_SZ, PT_PAGE_SZ, &err), 0);
	put_kit(s, 16, 515);
	end(s);
	assert_kit();
}

/* Cut at any place, it has whole pages or none, and goes on. */
static void test_resumed_cut(void **state)
{
	static const __u8 none[PT_PAGE_SZ];
	__u8 want[PT_PAGE_SZ], page[PT_PAGE_SZ];
	struct stat st;

	(void)state;
	for (__u64 cut = 1; cut < 4000; cut += 97) {
		struct pt_sink *s;

		leave();
		assert_int_equal(stat(PARTIAL, &st), 0);
		assert_int_equal(truncate(PARTIAL, cut < (__u64)st.st_size
						   ? st.st_size - cut : 0), 0);
		s = resume();
		assert_page(s, 15, none);
		for (__u64 i = 0; i < 16; i++) {
			kit_page(i, want);
			assert_int_equal(pt_sink_read(s, i * PT_PAGE_SZ, page,
						      PT_PAGE_SZ, &err), 0);
			assert_true(!memcmp(page, want, PT_PAGE_SZ) ||
				    !memcmp(page, none, PT_PAGE_SZ));
		}
		put_kit(s, 0, 515);
		end(s);
		assert_kit();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_not_committed),
		cmocka_unit_test(test_resumed),
		cmocka_unit_test(test_resumed_cut),
	};

	if (scratch_mount())
		return 1;
	kit_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
