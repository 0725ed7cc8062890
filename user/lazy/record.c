// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/layout.h"

#define MAGIC	0x7074726c617a7932ULL	/* "ptrlazy2" */

static __u64 pages_of(const struct pt_lazy_region *region)
{
	return region->sz / PT_PAGE_SZ;
}

/* ---- regions ---- */

static int by_addr(const void *a, const void *b)
{
	__u64 x = ((const struct pt_lazy_region *)a)->addr;
	__u64 y = ((const struct pt_lazy_region *)b)->addr;

	return x < y ? -1 : x > y;
}

static bool overlap(__u64 a, __u64 a_sz, __u64 b, __u64 b_sz)
{
	return a < b + b_sz && b < a + a_sz;
}

/* fault_of returns what is wrong with one region; NULL: nothing. */
static const char *fault_of(const struct pt_lazy_region *r, __u64 image_sz)
{
	__u64 room = (image_sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ * PT_PAGE_SZ;

	if (r->page_sz < PT_PAGE_SZ || r->page_sz > PT_LAZY_PAGE_MAX ||
	    r->page_sz & (r->page_sz - 1))
		return "its page size is no power of two of 4 KiB to 32 MiB";
	if (!r->sz)
		return "it is empty";
	if (r->addr % r->page_sz || r->sz % r->page_sz || r->off % PT_PAGE_SZ)
		return "its address, size or offset is not whole pages";
	if (r->addr + r->sz < r->addr || r->off + r->sz < r->off)
		return "it ends behind the last address";
	if (image_sz && r->off + r->sz > room)
		return "it ends behind the image";
	return NULL;
}

static int refuse(const struct pt_lazy_region *r, const char *why,
		  struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_PEER, -EINVAL, "the region at 0x%llx, %llu "
			    "bytes from %llu on: %s", (unsigned long long)r->addr,
			    (unsigned long long)r->sz, (unsigned long long)r->off,
			    why);
}

int pt_lazy_regions_check(struct pt_lazy_region *regions, __u32 cnt, __u64 image_sz,
			  struct pt_error *err)
{
	__u64 first = 0;

	if (!cnt || cnt > PT_LAZY_REGIONS_MAX)
		return pt_error_set(err, PT_EXIT_PEER, -EINVAL, "%u regions of "
				    "memory, and 1..%d are served", cnt,
				    PT_LAZY_REGIONS_MAX);
	for (__u32 i = 0; i < cnt; i++) {
		const char *why = fault_of(&regions[i], image_sz);

		if (why)
			return refuse(&regions[i], why, err);
	}
	qsort(regions, cnt, sizeof(*regions), by_addr);
	for (__u32 i = 0; i < cnt; i++) {
		struct pt_lazy_region *r = &regions[i];

		for (__u32 k = 0; k < i; k++)
			if (overlap(r->addr, r->sz, regions[k].addr, regions[k].sz) ||
			    overlap(r->off, r->sz, regions[k].off, regions[k].sz))
				return refuse(r, "it overlaps another", err);
		r->first = first;
		first += pages_of(r);
	}
	return 0;
}

const struct pt_lazy_region *pt_lazy_region_of(const struct pt_lazy_record *r,
					       __u64 page)
{
	__u32 low = 0, high = r->region_cnt;

	while (high - low > 1) {
		__u32 mid = (low + high) / 2;

		if (r->regions[mid].first <= page)
			low = mid;
		else
			high = mid;
	}
	return &r->regions[low];
}

const struct pt_lazy_region *pt_lazy_region_at(const struct pt_lazy_record *r,
					       __u64 addr)
{
	__u32 low = 0, high = r->region_cnt;

	while (high - low > 1) {
		__u32 mid = (low + high) / 2;

		if (r->regions[mid].addr <= addr)
			low = mid;
		else
			high = mid;
	}
	return addr - r->regions[low].addr < r->regions[low].sz ? &r->regions[low]
								: NULL;
}

bool pt_lazy_page_find(const struct pt_lazy_record *r, __u64 image_page,
		       __u64 *page)
{
	__u64 off = image_page * PT_PAGE_SZ;

	for (__u32 i = 0; i < r->region_cnt; i++) {
		const struct pt_lazy_region *region = &r->regions[i];

		if (off - region->off >= region->sz)
			continue;
		*page = region->first + (off - region->off) / PT_PAGE_SZ;
		return true;
	}
	return false;
}

/* ---- the record ---- */

static __u64 record_sz(__u64 page_cnt)
{
	return sizeof(struct pt_lazy_record) + (page_cnt + 63) / 64 * sizeof(__u64);
}

static struct pt_lazy_record *record_map(int fd, __u64 sz)
{
	void *map = mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

int pt_lazy_record_make(struct pt_lazy_record **out,
			const struct pt_lazy_region *regions, __u32 cnt,
			const char *image_id, struct pt_error *err)
{
	const struct pt_lazy_region *last = &regions[cnt - 1];
	__u64 page_cnt = last->first + pages_of(last);
	int fd = memfd_create("pagetrim-serve", MFD_CLOEXEC), code = -errno;
	struct pt_lazy_record *r = NULL;

	if (fd >= 0 && !ftruncate(fd, record_sz(page_cnt)))
		r = record_map(fd, record_sz(page_cnt));
	if (!r) {
		code = fd < 0 ? code : -ENOMEM;
		if (fd >= 0)
			close(fd);
		return pt_error_set(err, PT_EXIT_HOST, code, "cannot make the record "
				    "of what is placed: %s%s", strerror(-code),
				    pt_files_remedy(code));
	}
	r->magic = MAGIC;
	r->region_cnt = cnt;
	memcpy(r->regions, regions, cnt * sizeof(*regions));
	strcpy(r->image_id, image_id);
	r->page_cnt = r->pending_cnt = page_cnt;
	for (__u64 i = 0; i < page_cnt / 64; i++)
		r->pending[i] = ~0ULL;
	if (page_cnt % 64)
		r->pending[page_cnt / 64] = (1ULL << page_cnt % 64) - 1;
	*out = r;
	return fd;
}

static bool is_record(const struct pt_lazy_record *r, __u64 sz)
{
	return r->magic == MAGIC && r->region_cnt &&
	       r->region_cnt <= PT_LAZY_REGIONS_MAX && sz == record_sz(r->page_cnt);
}

int pt_lazy_record_open(struct pt_lazy_record **out, int fd, const char *image_id,
			struct pt_error *err)
{
	struct pt_lazy_record *r = NULL;
	struct stat st;

	if (!fstat(fd, &st) && st.st_size >= (off_t)sizeof(*r))
		r = record_map(fd, st.st_size);
	if (!r || !is_record(r, st.st_size)) {
		if (r)
			munmap(r, st.st_size);
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "the keeper's record "
				    "of what is placed cannot be read (it is of "
				    "another version of pagetrim: start that one)");
	}
	if (strncmp(r->image_id, image_id, sizeof(r->image_id))) {
		pt_lazy_record_close(r);
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE, "the guest was begun "
				    "from another image, or this one was written "
				    "since (give the one that it was begun from)");
	}
	r->pending_cnt = 0;
	for (__u64 i = 0; i < (r->page_cnt + 63) / 64; i++)
		r->pending_cnt += __builtin_popcountll(r->pending[i]);
	*out = r;
	return 0;
}

void pt_lazy_record_close(struct pt_lazy_record *r)
{
	if (r)
		munmap(r, record_sz(r->page_cnt));
}

/* ---- pages ---- */

__u64 pt_lazy_settle(struct pt_lazy_record *r, __u64 page, __u64 cnt)
{
	__u64 end = page + cnt, settled = 0;

	while (page < end) {
		__u64 *word = &r->pending[page / 64];
		__u32 bit = page % 64;
		__u64 n = end - page < 64 - bit ? end - page : 64 - bit;
		__u64 mask = (n == 64 ? ~0ULL : (1ULL << n) - 1) << bit;

		settled += __builtin_popcountll(*word & mask);
		*word &= ~mask;
		page += n;
	}
	r->pending_cnt -= settled;
	return settled;
}

__u64 pt_lazy_next_pending(const struct pt_lazy_record *r, __u64 page)
{
	__u64 word;

	if (page >= r->page_cnt)
		return r->page_cnt;
	word = r->pending[page / 64] & ~0ULL << page % 64;
	while (!word) {
		page = (page / 64 + 1) * 64;
		if (page >= r->page_cnt)
			return r->page_cnt;
		word = r->pending[page / 64];
	}
	return page / 64 * 64 + __builtin_ctzll(word);
}

__u64 pt_lazy_remove(struct pt_lazy_record *r, __u64 start, __u64 end)
{
	__u64 settled = 0;

	for (__u32 i = 0; i < r->region_cnt; i++) {
		const struct pt_lazy_region *region = &r->regions[i];
		__u64 from = start > region->addr ? start : region->addr;
		__u64 upto = region->addr + region->sz;

		upto = end < upto ? end : upto;
		if (from >= upto)
			continue;
		/* A part of a page is none: the kernel removes whole ones. */
		from = (from - region->addr + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
		upto = (upto - region->addr) / PT_PAGE_SZ;
		if (from < upto)
			settled += pt_lazy_settle(r, region->first + from,
						  upto - from);
	}
	return settled;
}
