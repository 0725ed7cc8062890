/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ptrim_kit: a small image at rest with a page of each state, as a file and as bytes
 * that a test damages.
 *
 *     segment  low, 515 pages from gfn 16      high, 2 pages from gfn 2^30
 *     region   0: 512 pages   1: 3 pages       2
 *     pages    0 data, whole  512, 513 zero    all absent
 *              1 one block    514 unreadable
 *              2 copy of 0
 *              3 zero
 *              4 unreadable
 *              5..24 data, in two units
 *              others absent
 */
#ifndef TEST_PTRIM_KIT_H
#define TEST_PTRIM_KIT_H

#include "scratch.h"

#include <endian.h>
#include <xxhash.h>

#include "image/ptrim.h"
#include "image/walk.h"
#include "image/writer.h"
#include "trim/digest.h"
#include "trim/scan.h"

#define KIT_IMAGE	SCRATCH "/kit.ptrim"
#define KIT_DAMAGED	SCRATCH "/damaged.ptrim"
#define KIT_FILE	SCRATCH "/device"
#define KIT_DATA_CNT	25	/* pages from the first on, with data or not */
#define KIT_SZ_MAX	(1u << 20)

static const struct pt_segment kit_segments[] = {
	{ "low", 16, 515 * PT_PAGE_SZ },
	{ "high", 1 << 30, 2 * PT_PAGE_SZ - 100 },
};

static struct pt_layout *kit_layout;
static __u8 kit_bytes[KIT_SZ_MAX];	/* of the file */
static size_t kit_sz;

/* kit_page fills in what page idx holds. */
static inline void kit_page(__u64 idx, __u8 page[PT_PAGE_SZ])
{
	memset(page, 0, PT_PAGE_SZ);
	if (idx == 1)
		memset(page + 640, 0xaa, 5);
	else if (idx == 0 || idx == 2)
		memset(page, 0x11, PT_PAGE_SZ);
	else
		for (unsigned i = 0; i < 64 * (idx % 64 + 1); i++)
			page[i] = 1 + i * idx % 7 + idx;
}

static inline enum pt_ptrim_state kit_state(__u64 idx)
{
	if (idx == 4 || idx == 514)
		return PT_PTRIM_UNREADABLE;
	if (idx == 3 || idx == 512 || idx == 513)
		return PT_PTRIM_ZERO;
	return idx < KIT_DATA_CNT ? PT_PTRIM_DATA : PT_PTRIM_ABSENT;
}

static inline void kit_put(struct pt_ptrim_writer *w, __u64 idx)
{
	__u8 page[PT_PAGE_SZ];
	__u64 content;

	kit_page(idx, page);
	content = pt_digest_content(pt_ptrim_writer_key(w), page);
	if (idx == 2)
		pt_ptrim_writer_same(w, 2, 0, content);
	else if (kit_state(idx) == PT_PTRIM_DATA)
		assert_int_equal(pt_ptrim_writer_data(w, idx, pt_scan(page), page,
						      content, NULL), 0);
	else
		pt_ptrim_writer_mark(w, idx, kit_state(idx), 0);
}

static inline void kit_read(const char *path)
{
	int fd = open(path, O_RDONLY);

	kit_sz = read(fd, kit_bytes, sizeof(kit_bytes));
	assert_true(kit_sz > 512 && kit_sz < sizeof(kit_bytes));
	close(fd);
}

static inline void kit_write(const char *path, const __u8 *bytes, size_t sz)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, sz), sz);
	close(fd);
}

/* kit_make makes KIT_IMAGE by the method, and reads its bytes. */
static inline void kit_make(enum pt_compression method)
{
	struct pt_ptrim_writer_cfg cfg = {
		.layout = kit_layout, .method = method, .level = 1,
		.unit_pages = 16,
	};
	struct pt_ptrim_writer *w;
	struct pt_error err;
	__u64 sz;

	unlink(KIT_IMAGE);
	kit_write(KIT_FILE, (const __u8 *)"state", 5);
	if (pt_ptrim_writer_create(&w, KIT_IMAGE, &cfg, &err))
		fail_msg("%s", err.text);
	for (__u64 i = 0; i < 515; i++) {
		kit_put(w, i);
		if (i == 511 || i == 514)
			assert_int_equal(pt_ptrim_writer_region(w, i / 512, NULL), 0);
	}
	assert_int_equal(pt_ptrim_writer_region(w, 2, NULL), 0);
	assert_int_equal(pt_ptrim_writer_file(w, KIT_FILE, NULL), 0);
	assert_int_equal(pt_ptrim_writer_commit(w, &sz, NULL), 0);
	pt_ptrim_writer_close(w);
	kit_read(KIT_IMAGE);
	assert_int_equal(sz, kit_sz);
}

/* ---- checks set anew, for structures that are wrong on purpose ---- */

#define KIT_HEADER	((struct pt_ptrim_header *)kit_bytes)

static inline struct pt_ptrim_region *kit_region(__u64 idx)
{
	return (void *)(kit_bytes + pt_ptrim_regions_at(2) +
			idx * sizeof(struct pt_ptrim_region));
}

/* An entry of a page table lies where its writer was. */
typedef __be64 kit_entry __attribute__((aligned(1)));

static inline kit_entry *kit_table(__u64 region_idx)
{
	return (void *)(kit_bytes + be64toh(kit_region(region_idx)->table));
}

static inline struct pt_ptrim_unit *kit_unit(__u64 page_idx)
{
	return (void *)(kit_bytes + (be64toh(kit_table(0)[page_idx]) &
				     PT_PTRIM_AT_MASK));
}

static inline void kit_seal_header(void)
{
	KIT_HEADER->segments_check = htobe64(XXH3_64bits_withSeed(
		kit_bytes + 512, 2 * sizeof(struct pt_ptrim_segment), 512));
	KIT_HEADER->check = htobe64(XXH3_64bits_withSeed(kit_bytes, 504, 0));
}

static inline void kit_seal_region(__u64 idx)
{
	struct pt_ptrim_region *r = kit_region(idx);
	__u64 at = be64toh(r->table);

	if (at >= PT_PTRIM_DATA && at + 8 * 512 <= kit_sz)
		r->table_check = htobe64(XXH3_64bits_withSeed(
			kit_bytes + at,
			8 * pt_layout_region(kit_layout, idx, NULL), at));
	r->check = htobe64(XXH3_64bits_withSeed(r, 24, idx));
}

static inline void kit_seal_unit(struct pt_ptrim_unit *u)
{
	u->check = htobe64(XXH3_64bits_withSeed(
		&u->page_cnt, 8 + be32toh(u->stored_sz), (__u8 *)u - kit_bytes));
}

/* ---- what a reader finds ---- */

/* kit_found: opens path and calls check for each page. */
static inline int kit_each(const char *path,
			   void (*check)(__u64 idx, enum pt_ptrim_state state,
					 const __u8 *page))
{
	struct pt_ptrim_reader *r;
	__u8 page[PT_PAGE_SZ];
	struct pt_ptrim *p;
	struct pt_error err = { 0 };
	int code = pt_ptrim_open(&p, path, NULL, &err);

	if (code) {
		assert_true(err.text[0]);
		return code;
	}
	assert_int_equal(pt_ptrim_reader_create(&r, p), 0);
	for (__u64 i = 0; i < 1026; i++)
		if (i < 515 || i >= 1024)
			check(i, pt_ptrim_read(r, i, page), page);
	pt_ptrim_reader_destroy(r);
	pt_ptrim_close(p);
	return 0;
}

static __u32 kit_lost_cnt;

/* kit_is_right: a page is as it was written. */
static inline void kit_is_right(__u64 idx, enum pt_ptrim_state state,
				const __u8 *page)
{
	__u8 want[PT_PAGE_SZ];

	assert_int_equal(state, kit_state(idx));
	if (state != PT_PTRIM_DATA)
		return;
	kit_page(idx, want);
	assert_memory_equal(page, want, PT_PAGE_SZ);
}

/* kit_is_right_or_lost: never as it was not. */
static inline void kit_is_right_or_lost(__u64 idx, enum pt_ptrim_state state,
					const __u8 *page)
{
	if (state == PT_PTRIM_LOST)
		kit_lost_cnt++;
	else
		kit_is_right(idx, state, page);
}

static inline void kit_begin(void)
{
	assert_int_equal(pt_layout_create(&kit_layout, kit_segments, 2, NULL), 0);
}

#endif
