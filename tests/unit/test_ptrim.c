// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ptrim_kit.h"

#include <sys/resource.h>

#include "guard_again.h"
#include "image/unpack.h"
#include "wire/compress.h"

static void test_round_trip(void **state)
{
	struct pt_ptrim_bytes f;
	struct pt_ptrim *p;

	(void)state;
	for (int m = 0; m < PT_COMPRESSION_CNT; m++) {
		if (!pt_compression_is_built(m))
			continue;
		kit_make(m);
		assert_int_equal(kit_unit(0)->compression, m);
		assert_int_equal(kit_each(KIT_IMAGE, kit_is_right), 0);
		assert_int_equal(pt_ptrim_open(&p, KIT_IMAGE, NULL, NULL), 0);
		assert_true(pt_ptrim_id_check(p, NULL) == 1);
		assert_int_equal(pt_ptrim_file_cnt(p), 1);
		assert_true(pt_ptrim_file(p, 0, &f));
		assert_string_equal(f.name, "device");
		assert_int_equal(f.sz, 5);
		assert_memory_equal(f.bytes, "state", 5);
		pt_ptrim_close(p);
	}
}

/* The copy costs no bytes, pages that are alike no table, and units end with their
 * pages: 22 pages in two units. */
static void test_shape(void **state)
{
	(void)state;
	kit_make(PT_COMPRESSION_NONE);
	assert_int_equal(kit_table(0)[2], kit_table(0)[0]);
	assert_int_equal(be64toh(kit_region(2)->table), PT_PTRIM_ABSENT);
	assert_int_equal(kit_unit(0)->page_cnt, 16);
	assert_int_equal(kit_unit(24)->page_cnt, 6);
	assert_ptr_equal(kit_unit(0), kit_unit(18));
	assert_ptr_equal(kit_unit(19), kit_unit(24));
	assert_int_equal(be16toh(kit_unit(24)->block_cnt),
			 20 + 21 + 22 + 23 + 24 + 25);
}

/* ---- what a walk reports ---- */

static __u64 fault_cnt;

static void on_pages(void *arg, __u64 page_idx, __u64 cnt)
{
	(void)arg;
	(void)page_idx;
	fault_cnt += cnt;
}

static void on_unreadable(void *arg, __u64 page_idx, __u64 cnt)
{
	(void)arg;
	assert_true(page_idx == 4 || page_idx == 514);
	assert_int_equal(cnt, 1);
}

static void on_region(void *arg, __u64 region_idx)
{
	(void)arg;
	(void)region_idx;
	fault_cnt++;
}

static void on_name(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	fault_cnt++;
}

static const struct pt_walk walk = {
	.lost = on_pages,
	.unreadable = on_unreadable,
	.wrong = on_region,
};

/* verify returns how many faults are found in the file. */
static __u64 verify(const char *path, struct pt_walk_result *r)
{
	struct pt_ptrim *p;

	fault_cnt = 0;
	if (pt_ptrim_open(&p, path, NULL, NULL))
		return 1;
	assert_int_equal(pt_verify(p, &walk, on_name, on_name, r, NULL), 0);
	pt_ptrim_close(p);
	return fault_cnt;
}

static void test_verify(void **state)
{
	struct pt_walk_result r;

	(void)state;
	kit_make(PT_COMPRESSION_NONE);
	assert_int_equal(verify(KIT_IMAGE, &r), 0);
	assert_int_equal(r.pages[PT_PTRIM_DATA], 23);
	assert_int_equal(r.pages[PT_PTRIM_ZERO], 3);
	assert_int_equal(r.pages[PT_PTRIM_UNREADABLE], 2);
	assert_int_equal(r.pages[PT_PTRIM_ABSENT], 517 - 28);
	assert_int_equal(r.unreadable_cnt, 2);
	assert_int_equal(r.lost_cnt + r.wrong_cnt, 0);
}

/* ---- damage ---- */

/* Whatever byte changes: no other bytes are given, and verify finds it. */
static void test_each_byte(void **state)
{
	struct pt_walk_result r;
	int fd, opened = 0;

	(void)state;
	kit_make(PT_COMPRESSION_LZ4);
	kit_write(KIT_DAMAGED, kit_bytes, kit_sz);
	fd = open(KIT_DAMAGED, O_RDWR);
	for (size_t at = 0; at < kit_sz; at++) {
		__u8 byte = kit_bytes[at] ^ (1 + at % 255);

		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		opened += !kit_each(KIT_DAMAGED, kit_is_right_or_lost);
		if (!verify(KIT_DAMAGED, &r))
			fail_msg("byte %zu changed, and verify found nothing", at);
		assert_int_equal(pwrite(fd, &kit_bytes[at], 1, at), 1);
	}
	close(fd);
	assert_true(kit_lost_cnt);
	/* Behind the segments all is found only later. */
	assert_int_equal(opened, kit_sz - pt_ptrim_regions_at(2));
}

static void test_each_cut(void **state)
{
	__u64 data_at = pt_ptrim_data_at(2, 3);
	struct pt_walk_result r;
	int opened = 0;

	(void)state;
	kit_make(PT_COMPRESSION_LZ4);
	for (size_t sz = 0; sz < kit_sz; sz += sz + 7 < data_at ? 7 : 1) {
		kit_write(KIT_DAMAGED, kit_bytes, sz);
		opened += !kit_each(KIT_DAMAGED, kit_is_right_or_lost);
		assert_true(verify(KIT_DAMAGED, &r));
	}
	assert_int_equal(opened, kit_sz - data_at);
}

/* A file that shrinks while it is open loses pages, and ends no process. */
static void test_shrinks(void **state)
{
	struct pt_ptrim_reader *r;
	__u8 page[PT_PAGE_SZ];
	struct pt_ptrim *p;

	(void)state;
	guard_again();
	kit_make(PT_COMPRESSION_NONE);
	kit_write(KIT_DAMAGED, kit_bytes, kit_sz);
	assert_int_equal(pt_ptrim_open(&p, KIT_DAMAGED, NULL, NULL), 0);
	assert_int_equal(pt_ptrim_reader_create(&r, p), 0);
	assert_int_equal(pt_ptrim_read(r, 0, page), PT_PTRIM_DATA);
	assert_int_equal(truncate(KIT_DAMAGED, 4096), 0);
	assert_int_equal(pt_ptrim_read(r, 24, page), PT_PTRIM_LOST);
	pt_ptrim_reader_destroy(r);
	pt_ptrim_close(p);
}

/* ---- structures that are wrong, although their checks are right ---- */

static enum pt_ptrim_state found[32];

static void on_page(__u64 idx, enum pt_ptrim_state state, const __u8 *page)
{
	(void)page;
	if (idx < 32)
		found[idx] = state;
}

/* lost: pages [first, end) of the first 25 are lost, the others are not. */
static void assert_lost(__u64 first, __u64 end)
{
	kit_write(KIT_DAMAGED, kit_bytes, kit_sz);
	assert_int_equal(kit_each(KIT_DAMAGED, on_page), 0);
	for (__u64 i = 0; i < KIT_DATA_CNT; i++)
		assert_int_equal(found[i], i >= first && i < end
				 ? PT_PTRIM_LOST : kit_state(i));
}

static void test_entries(void **state)
{
	static const struct {
		__u64 entry;
		bool is_lost;
	} rows[] = {
		{ 1ULL << 60, false }, { 1ULL << 60 | 1, true },
		{ 1ULL << 60 | 1ULL << 56, true },
		{ 3ULL << 60, true },		/* it has no parent */
		{ 4ULL << 60, true },		/* the header as a unit */
		{ 5ULL << 60, true }, { 15ULL << 60, true },
		{ 4ULL << 60 | PT_PTRIM_AT_MASK, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		kit_make(PT_COMPRESSION_NONE);
		kit_table(0)[3] = htobe64(rows[i].entry);
		kit_seal_region(0);
		assert_lost(3, 3 + rows[i].is_lost);
	}
	/* A slot that the unit does not have: pages 18 to 24 have six. */
	kit_make(PT_COMPRESSION_NONE);
	kit_table(0)[3] = kit_table(0)[24];
	kit_seal_region(0);
	kit_write(KIT_DAMAGED, kit_bytes, kit_sz);
	assert_int_equal(kit_each(KIT_DAMAGED, on_page), 0);
	assert_int_equal(found[3], PT_PTRIM_DATA);
	kit_table(0)[3] += htobe64(1ULL << 56);
	kit_seal_region(0);
	assert_lost(3, 4);
}

static void test_units(void **state)
{
	(void)state;
#define ROW(change)							\
	do {								\
		struct pt_ptrim_unit *u;				\
									\
		kit_make(PT_COMPRESSION_NONE);				\
		u = kit_unit(24);					\
		change;							\
		kit_seal_unit(u);					\
		assert_lost(19, 25);					\
	} while (0)
	ROW(u->page_cnt = 0);
	ROW(u->page_cnt = 17);
	ROW(u->page_cnt = 5);
	ROW(u->compression = 3);
	ROW(u->compression = PT_COMPRESSION_LZ4);
	ROW(u->block_cnt = htobe16(be16toh(u->block_cnt) - 1));
	ROW(u->block_cnt = htobe16(0));
	ROW(u->block_cnt = htobe16(65535));
	ROW(u->stored_sz = htobe32(be32toh(u->stored_sz) - 1));
	ROW(u->stored_sz = htobe32(0));
	/* The last mask: no block, one more block. */
	ROW(((__u8 *)(u + 1))[be32toh(u->stored_sz) - 1] = 0);
	ROW(memset((__u8 *)(u + 1) + be32toh(u->stored_sz) - 8, 0, 8));
	ROW(((__u8 *)(u + 1))[be32toh(u->stored_sz) - 8] ^= 0x80);
#undef ROW
}

static void test_regions(void **state)
{
	static const __u64 tables[] = { 4, 512, 1ULL << 40, ~0ULL };

	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		kit_make(PT_COMPRESSION_NONE);
		kit_region(0)->table = htobe64(tables[i]);
		kit_seal_region(0);
		assert_lost(0, KIT_DATA_CNT);
	}
	/* Another region's fields, whole, in this one's place. */
	kit_make(PT_COMPRESSION_NONE);
	*kit_region(0) = *kit_region(2);
	assert_lost(0, KIT_DATA_CNT);
}

/* All structures are right, and a page is another's. */
static void test_digest(void **state)
{
	struct pt_walk_result r;

	(void)state;
	kit_make(PT_COMPRESSION_NONE);
	kit_table(0)[1] = kit_table(0)[0];
	kit_seal_region(0);
	kit_write(KIT_DAMAGED, kit_bytes, kit_sz);
	assert_int_equal(verify(KIT_DAMAGED, &r), 2);	/* and its id */
	assert_int_equal(r.wrong_cnt, 1);
	assert_int_equal(r.lost_cnt, 0);
}

static void test_headers(void **state)
{
	struct pt_ptrim_segment *s;

	(void)state;
#define ROW(change)							\
	do {								\
		kit_make(PT_COMPRESSION_NONE);				\
		s = (void *)(kit_bytes + 512);				\
		change;							\
		kit_seal_header();					\
		kit_write(KIT_DAMAGED, kit_bytes, kit_sz);		\
		assert_int_equal(kit_each(KIT_DAMAGED, on_page), -EINVAL); \
	} while (0)
	ROW(KIT_HEADER->magic = 0);
	ROW(KIT_HEADER->version = htobe16(2));
	ROW(KIT_HEADER->segment_cnt = 0);
	ROW(KIT_HEADER->segment_cnt = htobe32(65537));
	ROW(KIT_HEADER->region_cnt = 0);
	ROW(KIT_HEADER->region_cnt = htobe64(4));
	ROW(KIT_HEADER->region_cnt = htobe64(1ULL << 60));
	ROW(KIT_HEADER->file_cnt = htobe32(1025));
	ROW(KIT_HEADER->parent_name[255] = 'x');
	ROW(s[0].sz = 0);
	ROW(s[0].sz = ~0ULL);
	ROW(s[1].gfn = htobe64(17));
	ROW(memset(s[1].name, 'x', sizeof(s[1].name)));
#undef ROW
	kit_make(PT_COMPRESSION_NONE);
	kit_seal_header();
	kit_write(KIT_DAMAGED, kit_bytes, kit_sz);
	assert_int_equal(kit_each(KIT_DAMAGED, on_page), 0);
}

/* A small file that states a huge memory takes no memory for it. */
static void test_huge(void **state)
{
#ifdef __SANITIZE_ADDRESS__
	const struct rlimit little = { RLIM_INFINITY, RLIM_INFINITY };
#else	/* its shadow is larger than any limit */
	const struct rlimit little = { 256 << 20, RLIM_INFINITY };
#endif
	struct pt_ptrim_segment *s = (void *)(kit_bytes + 512);
	struct rlimit all;

	(void)state;
	kit_make(PT_COMPRESSION_NONE);
	s[1].sz = htobe64(PT_LAYOUT_SZ_MAX / 2);
	kit_seal_header();
	kit_write(KIT_DAMAGED, kit_bytes, kit_sz);
	assert_int_equal(getrlimit(RLIMIT_AS, &all), 0);
	assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
	assert_int_equal(kit_each(KIT_DAMAGED, on_page), -EINVAL);
	assert_int_equal(setrlimit(RLIMIT_AS, &all), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_each_byte),
		cmocka_unit_test(test_each_cut),
		cmocka_unit_test(test_shrinks),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_huge),
	};

	if (scratch_mount())
		return 1;
	guard_again();
	kit_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
