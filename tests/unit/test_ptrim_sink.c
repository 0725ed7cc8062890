// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* An image at rest that is received: the sink.  Its log: test_ptrim_log. */
#include "ptrim_kit.h"

#include "image/ptrim_sink.h"
#include "sink/image.h"
#include "sink/sink_run.h"

#define OUT		SCRATCH "/x.ptrim"
#define PARTIAL		OUT ".partial"
/* The first note, of 8 pages, is behind the front: two segments, three regions. */
#define FIRST_UNIT	(512 + 2 * 80 + 3 * 32 + 24 + 2 * 8)

static struct pt_error err;
static struct pt_ptrim_sink_how how;	/* of the next sink */

static struct pt_sink *make(void)
{
	struct pt_sink *s;

	unlink(OUT);
	if (pt_ptrim_sink_create(&s, OUT, kit_layout, &how, &err))
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

static void no_pages(void *arg, __u64 page_idx, __u64 cnt)
{
	(void)arg;
	fail_msg("%llu pages from %llu on", cnt, page_idx);
}

static void any_pages(void *arg, __u64 page_idx, __u64 cnt)
{
	(void)arg;
	(void)page_idx;
	(void)cnt;
}

static void no_region(void *arg, __u64 region_idx)
{
	(void)arg;
	fail_msg("region %llu has another digest", region_idx);
}

/* assert_digests: all regions have the digests of their pages, and the file its id. */
static void assert_digests(void)
{
	static const struct pt_walk walk = {
		.lost = no_pages, .unreadable = any_pages, .wrong = no_region,
	};
	struct pt_walk_result r;
	struct pt_ptrim *p;

	assert_int_equal(pt_ptrim_open(&p, OUT, NULL, &err), 0);
	assert_int_equal(pt_walk(p, &walk, &r, &err), 0);
	assert_int_equal(pt_ptrim_id_check(p, &err), 1);
	pt_ptrim_close(p);
}

static void assert_kit(void)
{
	struct pt_ptrim *p;
	struct pt_ptrim_bytes file;

	assert_int_equal(kit_each(OUT, kit_is_right), 0);
	assert_digests();
	assert_int_equal(pt_ptrim_open(&p, OUT, NULL, &err), 0);
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

/* entry_of_page returns where the image has the page. */
static struct pt_ptrim_entry entry_of_page(const struct pt_ptrim *p, __u64 idx)
{
	struct pt_ptrim_entry entry = pt_ptrim_look(p, idx);

	assert_int_equal(entry.state, PT_PTRIM_DATA);
	return entry;
}

/* Units are compressed as the caller says. */
static void test_how(void **state)
{
	static const struct pt_ptrim_sink_how hows[] = {
		{ true, PT_COMPRESSION_NONE, 1 }, { true, PT_COMPRESSION_LZ4, 1 },
		{ true, PT_COMPRESSION_ZSTD, 1 }, { true, PT_COMPRESSION_ZSTD, 19 },
		{ false, PT_COMPRESSION_NONE, 0 },
	};
	struct stat st[sizeof(hows) / sizeof(hows[0])];

	(void)state;
	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		struct pt_sink *s;

		if (pt_ptrim_sink_check(&hows[i], &err))
			return;
		how = hows[i];
		s = make();
		put_kit(s, 0, 515);
		end(s);
		assert_kit();
		kit_read(OUT);
		assert_int_equal(kit_unit(0)->compression, i < 4 ? hows[i].method :
				 PT_COMPRESSION_ZSTD);
		assert_int_equal(stat(OUT, &st[i]), 0);
	}
	/* The table of originals, by a random key, may miss the copy. */
	assert_true(st[2].st_size < st[0].st_size);
}

/* Equal pages are stored once, in whatever order and region they come. */
static void test_equal(void **state)
{
	struct pt_ptrim_entry first, other;
	struct pt_sink *s = make();
	__u8 page[PT_PAGE_SZ];
	struct pt_ptrim *p;

	(void)state;
	for (__u64 i = 0; i < 515; i++) {
		memset(page, i % 5 + 1, PT_PAGE_SZ);
		put(s, i, page, PT_PAGE_SZ);
		assert_page(s, i, page);
	}
	if (pt_sink_sync(s, &err) || pt_sink_commit(s, &err))
		fail_msg("%s", err.text);
	pt_sink_close(s);
	assert_int_equal(pt_ptrim_open(&p, OUT, NULL, &err), 0);
	for (__u64 i = 5; i < 515; i++) {
		/* The second region is another part, which must not wait for the
		 * first to write its unit. */
		first = entry_of_page(p, i % 5);
		other = entry_of_page(p, i);
		if (i < 512) {
			assert_int_equal(other.at, first.at);
			assert_int_equal(other.slot, first.slot);
		}
	}
	/* Five pages, compressed, 8 bytes of table and a note of 16 for each. */
	assert_in_range(pt_ptrim_sz(p), 512, 16384);
	pt_ptrim_close(p);
}

/* A unit is written after its page has changed again: into zeroes, into a copy of
 * another page, into other data. */
static void test_superseded(void **state)
{
	static const __u8 none[PT_PAGE_SZ];
	__u8 a[PT_PAGE_SZ], b[PT_PAGE_SZ], page[PT_PAGE_SZ];
	struct pt_sink *s = make();

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	put(s, 20, b, PT_PAGE_SZ);
	put(s, 21, b, PT_PAGE_SZ);	/* page 20 is in the file now */
	put(s, 0, a, PT_PAGE_SZ);
	assert_int_equal(pt_sink_zero(s, 0, PT_PAGE_SZ, &err), 0);
	memset(page, 'c', sizeof(page));
	put(s, 1, page, PT_PAGE_SZ);
	put(s, 1, b, PT_PAGE_SZ);
	memset(page, 'd', sizeof(page));
	put(s, 2, page, PT_PAGE_SZ);
	put(s, 2, a, PT_PAGE_SZ);
	for (int i = 0; i < 9; i++) {	/* enough for a unit */
		memset(page, 'e' + i, sizeof(page));
		put(s, 3 + i, page, PT_PAGE_SZ);
	}
	assert_page(s, 0, none);
	assert_page(s, 1, b);
	assert_page(s, 2, a);
	assert_page(s, 3 + 8, page);
	if (pt_sink_sync(s, &err) || pt_sink_commit(s, &err))
		fail_msg("%s", err.text);
	pt_sink_close(s);
	assert_digests();
}

/* A small file that did not come whole. */
static void test_half_a_file(void **state)
{
	struct pt_sink *s = make();

	(void)state;
	assert_int_equal(pt_sink_file_begin(s, "half", 5, &err), 0);
	assert_int_equal(pt_sink_file_write(s, "abc", 3, &err), 0);
	assert_int_equal(pt_sink_file_begin(s, "next", 5, &err), -EINVAL);
	assert_int_equal(pt_sink_file_write(s, "def", 3, &err), -EINVAL);
	assert_int_equal(pt_sink_sync(s, &err), -EINVAL);
	assert_non_null(strstr(err.text, "its file half lacks 2 bytes"));
	pt_sink_close(s);
	assert_false(scratch_has(OUT));
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

	if (pt_ptrim_sink_reopen(&s, OUT, kit_layout, &how, &err) ||
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

/* Nobody reads what the lost transfer left, and it is in the digests all the same. */
static void test_resumed_unread(void **state)
{
	struct pt_sink *s;

	(void)state;
	leave();
	s = resume();
	assert_int_equal(pt_sink_zero(s, 3 * PT_PAGE_SZ, PT_PAGE_SZ, &err), 0);
	put_kit(s, 16, 515);
	end(s);
	assert_kit();
}

/* A unit that is not as it was written, and all behind it, did not arrive.  The image
 * ends with its own last byte, although more was in the file before. */
static void test_resumed_damaged(void **state)
{
	static const __u8 none[PT_PAGE_SZ];
	__u8 byte = 0, page[PT_PAGE_SZ];
	struct stat st;
	struct pt_sink *s;
	int fd;

	(void)state;
	leave();
	fd = open(PARTIAL, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	/* In the unit behind the first note. */
	assert_int_equal(pread(fd, &byte, 1, FIRST_UNIT + 40), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, FIRST_UNIT + 40), 1);
	assert_int_equal(ftruncate(fd, st.st_size + (64 << 10)), 0);
	close(fd);
	s = resume();
	for (__u64 i = 0; i < 16; i++)
		assert_page(s, i, none);
	kit_page(0, page);
	put(s, 0, page, PT_PAGE_SZ);
	if (pt_sink_sync(s, &err) || pt_sink_commit(s, &err))
		fail_msg("%s", err.text);
	pt_sink_close(s);
	assert_digests();
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

static __u8 noise[64][PT_PAGE_SZ];

/* put_noise puts 64 pages that do not compress, others for each seed; and then page
 * 64, a copy of page 0. */
static void put_noise(struct pt_sink *s, __u64 seed)
{
	__u64 word = seed * 0x9e3779b97f4a7c15ULL;

	for (__u64 i = 0; i < sizeof(noise) / sizeof(word); i++) {
		word ^= word << 13;
		word ^= word >> 7;
		word ^= word << 17;
		memcpy((__u8 *)noise + i * sizeof(word), &word, sizeof(word));
	}
	for (__u64 i = 0; i < 64; i++)
		put(s, i, noise[i], PT_PAGE_SZ);
	put(s, 64, noise[0], PT_PAGE_SZ);
}

/* The room of units of which no page is left is given back: of three rounds one is
 * left.  A transfer that is lost right afterwards goes on, too. */
static void test_given_back(void **state)
{
	static const __u8 none[PT_PAGE_SZ];
	struct pt_sink *s;
	struct stat st;

	(void)state;
	unlink(OUT);
	for (int is_lost = 1; is_lost >= 0; is_lost--) {
		s = make();
		assert_int_equal(pt_image_journal_write(pt_ptrim_sink_file(s), "j", 2,
							&err), 0);
		for (__u64 seed = 1; seed < 4; seed++)
			put_noise(s, seed);
		/* A copy of a unit that is gone, and zeroes, of which no note
		 * tells. */
		assert_int_equal(pt_sink_zero(s, 0, 8 * PT_PAGE_SZ, &err), 0);
		assert_int_equal(pt_sink_zero(s, 64 * PT_PAGE_SZ, PT_PAGE_SZ, &err),
				 0);
		if (pt_sink_sync(s, &err))
			fail_msg("%s", err.text);
		if (is_lost) {
			pt_sink_close(s);
			s = resume();
			assert_page(s, 0, none);
			assert_page(s, 64, none);
			for (__u64 i = 8; i < 64; i++)
				assert_page(s, i, noise[i]);
			assert_int_equal(pt_sink_sync(s, &err), 0);
		}
		assert_int_equal(pt_sink_commit(s, &err), 0);
		pt_sink_close(s);
		assert_digests();
		assert_int_equal(stat(OUT, &st), 0);
		assert_in_range(st.st_size, 3 * 64 * PT_PAGE_SZ,
				4 * 64 * PT_PAGE_SZ);
		assert_in_range(st.st_blocks * 512, 56 * PT_PAGE_SZ,
				100 * PT_PAGE_SZ);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_how),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_superseded),
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_half_a_file),
		cmocka_unit_test(test_not_committed),
		cmocka_unit_test(test_resumed),
		cmocka_unit_test(test_resumed_unread),
		cmocka_unit_test(test_resumed_damaged),
		cmocka_unit_test(test_resumed_cut),
	};

	if (scratch_mount())
		return 1;
	kit_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
