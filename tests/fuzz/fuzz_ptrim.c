// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* An image at rest from a stranger: it is opened, walked and verified without a
 * fault, every page has one of the states, and a page read twice is the same.  Each
 * input is also tried with the checks that are right for it, since they would hide
 * all that is behind them. */
#include "input.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <pagetrim/check.h>
#include "image/unpack.h"
#include "trim/scan.h"

#define FILE_SZ_MAX	(64u << 10)

static __u8 file[FILE_SZ_MAX];
static size_t file_sz;
static char path[32];
static __u64 told_cnt;		/* pages that were lost or unreadable */

static bool has(__u64 off, __u64 sz)
{
	return off <= file_sz && sz <= file_sz - off;
}

static __be64 check_of(__u64 off, __u64 sz, __u64 seed)
{
	return htobe64(XXH3_64bits_withSeed(file + off, sz, seed));
}

/* ---- the checks that are right ---- */

static void seal_unit(__u64 at)
{
	struct pt_ptrim_unit *u;

	if (!has(at, sizeof(*u)))
		return;
	u = (void *)(file + at);
	if (has(at + sizeof(*u), be32toh(u->stored_sz)))
		u->check = check_of(at + 8, 8 + be32toh(u->stored_sz), at);
}

static void seal_table(struct pt_ptrim_region *r, __u64 idx, __u32 page_cnt)
{
	__u64 at = be64toh(r->table), sz = page_cnt * sizeof(__be64);

	for (__u32 i = 0; at >= PT_PTRIM_DATA && has(at, sz) && i < page_cnt; i++) {
		__be64 entry;

		memcpy(&entry, file + at + i * sizeof(entry), sizeof(entry));
		if (be64toh(entry) >> PT_PTRIM_STATE_SHIFT == PT_PTRIM_DATA)
			seal_unit(be64toh(entry) & PT_PTRIM_AT_MASK);
	}
	if (at >= PT_PTRIM_DATA && has(at, sz))
		r->table_check = check_of(at, sz, at);
	r->check = htobe64(XXH3_64bits_withSeed(r, offsetof(typeof(*r), check),
						idx));
}

static void seal_front(void)
{
	struct pt_ptrim_header *h = (void *)file;
	__u64 segments_sz = (__u64)be32toh(h->segment_cnt) *
			    sizeof(struct pt_ptrim_segment);
	__u64 files_sz = be32toh(h->file_cnt) * sizeof(struct pt_ptrim_file);

	if (has(sizeof(*h), segments_sz))
		h->segments_check = check_of(sizeof(*h), segments_sz, sizeof(*h));
	if (has(be64toh(h->files_at), files_sz))
		h->files_check = check_of(be64toh(h->files_at), files_sz,
					  be64toh(h->files_at));
	h->check = check_of(0, offsetof(struct pt_ptrim_header, check), 0);
}

static void seal_regions(const struct pt_layout *l)
{
	const struct pt_ptrim_header *h = (const void *)file;
	struct pt_ptrim_region *r = (void *)(file + pt_ptrim_regions_at(
		be32toh(h->segment_cnt)));

	for (__u64 i = 0; i < pt_layout_region_cnt(l); i++)
		seal_table(&r[i], i, pt_layout_region(l, i, NULL));
}

/* ---- what is read ---- */

static void on_pages(void *arg, __u64 page_idx, __u64 cnt)
{
	const struct pt_layout *l = arg;

	pt_check(page_idx + cnt <= pt_layout_page_cnt(l));
	told_cnt += cnt;
}

static void on_region(void *arg, __u64 region_idx)
{
	pt_check(region_idx < pt_layout_region_cnt(arg));
}

static void on_name(void *arg, const char *name)
{
	(void)arg;
	pt_check(strlen(name) < PT_PTRIM_NAME_SZ || name[0] == '/');
}

/* pages_read reads some pages twice, in another order. */
static void pages_read(const struct pt_ptrim *p)
{
	static __u8 first[PT_PAGE_SZ], again[PT_PAGE_SZ];
	__u64 cnt = pt_layout_page_cnt(pt_ptrim_layout(p));
	struct pt_ptrim_reader *r;

	pt_check(!pt_ptrim_reader_create(&r, p));
	for (__u64 i = 0; i < cnt && i < 512; i += 37) {
		if (i % PT_REGION_PAGES >= pt_layout_region(pt_ptrim_layout(p),
				i / PT_REGION_PAGES, NULL))
			continue;
		if (pt_ptrim_read(r, i, first) != PT_PTRIM_DATA)
			continue;
		pt_ptrim_read(r, i / 2, again);
		pt_check(pt_ptrim_read(r, i, again) == PT_PTRIM_DATA);
		pt_check(!memcmp(first, again, sizeof(first)));
	}
	pt_ptrim_reader_destroy(r);
}

static void walk(const struct pt_ptrim *p)
{
	const struct pt_walk to = {
		.lost = on_pages, .unreadable = on_pages, .wrong = on_region,
		.arg = (void *)pt_ptrim_layout(p),
	};
	struct pt_walk_result r;

	told_cnt = 0;
	pt_check(!pt_verify(p, &to, on_name, on_name, &r, NULL));
	pt_check(told_cnt == r.lost_cnt + r.unreadable_cnt);
	pages_read(p);
}

/* give reads the file; sealed: its regions, page tables and units are sealed before,
 * once its layout is known. */
static void give(int fd, bool sealed)
{
	struct pt_ptrim *p;
	struct pt_error err;

	pt_check(!ftruncate(fd, 0));
	pt_check(pwrite(fd, file, file_sz, 0) == (ssize_t)file_sz);
	if (pt_ptrim_open(&p, path, NULL, &err))
		return;
	if (sealed) {
		seal_regions(pt_ptrim_layout(p));
		pt_check(pwrite(fd, file, file_sz, 0) == (ssize_t)file_sz);
	}
	walk(p);
	pt_ptrim_close(p);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("ptrim", MFD_CLOEXEC);
		pt_check(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (sz > FILE_SZ_MAX)
		return 0;
	memset(file, 0, sizeof(file));
	memcpy(file, data, sz);
	file_sz = sz;
	give(fd, false);
	if (sz < sizeof(struct pt_ptrim_header))
		return 0;
	seal_front();
	give(fd, true);
	return 0;
}
