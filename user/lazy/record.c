// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include "base/files.h"
#include "memory/layout.h"

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define PAGES_MAX	(PT_GFN_MAX + 1)
#define MAGIC	0x7074726c617a7933ULL	/* "ptrlazy3" */

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

static __u64 record_sz(__u64 page_max)
{
	return sizeof(struct pt_lazy_record) + (page_max + 63) / 64 * sizeof(__u64);
}

static struct pt_lazy_record *record_map(int fd, __u64 sz)
{
	void *map = mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

int pt_lazy_record_make(struct pt_lazy_record **out, __u64 page_max,
			const char *image_id, struct pt_error *err)
{
	int fd = memfd_create("pagetrim-serve", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int code = fd < 0 ? -errno : 0;
	struct pt_lazy_record *r = NULL;

	if (fd >= 0 && (ftruncate(fd, record_sz(page_max)) ||
			fcntl(fd, F_ADD_SEALS, SEALS)))
		code = -errno;
	if (!code)
		r = record_map(fd, record_sz(page_max));
	if (!r) {
		code = code ? code : -ENOMEM;
		if (fd >= 0)
			close(fd);
		return pt_error_set(err, PT_EXIT_HOST, code, "cannot make the record "
				    "of what is placed: %s%s", strerror(-code),
				    pt_files_remedy(code));
	}
	r->magic = MAGIC;
	strcpy(r->image_id, image_id);
	r->page_max = page_max;
	*out = r;
	return fd;
}

void pt_lazy_record_begin(struct pt_lazy_record *r,
			  const struct pt_lazy_region *regions, __u32 cnt)
{
	const struct pt_lazy_region *last = &regions[cnt - 1];

	r->region_cnt = cnt;
	memcpy(r->regions, regions, cnt * sizeof(*regions));
	r->page_cnt = r->pending_cnt = last->first + pages_of(last);
	pt_check(r->page_cnt <= r->page_max);
	for (__u64 i = 0; i < r->page_cnt / 64; i++)
		r->pending[i] = ~0ULL;
	if (r->page_cnt % 64)
		r->pending[r->page_cnt / 64] = (1ULL << r->page_cnt % 64) - 1;
	__atomic_store_n(&r->is_begun, 1, __ATOMIC_RELEASE);
}

static bool is_record(const struct pt_lazy_record *r, __u64 sz)
{
	return r->magic == MAGIC && r->page_max <= PAGES_MAX &&
	       sz == record_sz(r->page_max);
}

/* is_sound: a size that cannot change, and regions that keep within it. */
static bool is_sound(const struct pt_lazy_record *r, int fd)
{
	static struct pt_lazy_region own[PT_LAZY_REGIONS_MAX];
	__u32 cnt = r->region_cnt;

	if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS ||
	    r->message_sz > PT_LAZY_MESSAGE_MAX)
		return false;
	if (!r->is_begun)
		return true;
	if (!cnt || cnt > PT_LAZY_REGIONS_MAX)
		return false;
	memcpy(own, r->regions, cnt * sizeof(*own));
	return !pt_lazy_regions_check(own, cnt, r->page_max * PT_PAGE_SZ, NULL) &&
	       !memcmp(own, r->regions, cnt * sizeof(*own)) &&
	       r->page_cnt == own[cnt - 1].first + pages_of(&own[cnt - 1]) &&
	       r->page_cnt <= r->page_max;
}

/* judge returns 0, or why the record of sz bytes cannot be used. */
static int judge(const struct pt_lazy_record *r, int fd, __u64 sz,
		 const char *image_id, struct pt_error *err)
{
	if (!is_record(r, sz))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "the keeper's record "
				    "of what is placed cannot be read (it is of "
				    "another version of pagetrim: start that one)");
	if (strncmp(r->image_id, image_id, sizeof(r->image_id)))
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE, "the guest was begun "
				    "from another image, or this one was written "
				    "since (give the one that it was begun from)");
	if (!is_sound(r, fd))
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "the keeper's record "
				    "of what is placed is not as a server leaves it, "
				    "and is not trusted");
	return 0;
}

int pt_lazy_record_open(struct pt_lazy_record **out, int fd, const char *image_id,
			struct pt_error *err)
{
	struct pt_lazy_record *r = NULL;
	struct stat st = { .st_size = 0 };
	int code;

	if (!fstat(fd, &st) && st.st_size >= (off_t)sizeof(*r))
		r = record_map(fd, st.st_size);
	if (!r)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "the keeper's record "
				    "of what is placed cannot be mapped");
	code = judge(r, fd, st.st_size, image_id, err);
	if (code) {
		munmap(r, st.st_size);
		return code;
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
		munmap(r, record_sz(r->page_max));
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
