// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/pagemap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

/* Newer than the headers of Linux 6.1 (include/uapi/linux/fs.h). */
struct page_region {
	__u64 start, end, categories;
};

struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask;
	__u64 return_mask;
};

#define PAGEMAP_SCAN	_IOWR('f', 16, struct pm_scan_arg)
#define PAGE_SZ		4096ULL
#define WORDS		512		/* read at once */
#define WORD_THERE	(3ULL << 62)	/* present, swapped */
#define IS_FILE		4		/* or shared */
#define IS_PRESENT	8
#define IS_THERE	(8 | 16)	/* present, swapped or marked */
#define IS_SWAPPED	16	/* or marked */
#define IS_ZERO		32	/* the kernel's page of zeroes, small or large */
#define IS_LARGE	64

/* A word of a page that is swapped or marked: the kind of swap in 5 bits, its offset
 * above.  The last kind is that of marks, whose offset has a bit for each meaning
 * (include/linux/swapops.h of Linux). */
#define WORD_SWAPPED	(1ULL << 62)
#define KIND_MASK	31ULL
#define KIND_MARK	31ULL
#define MARK_POISON	(2ULL << 5)

/* scan_but finds the first pages in [start, end) of one of the categories, and of none
 * of the others, at most page_cnt (0: any number); 1: found. */
static int scan_but(int pagemap, __u64 start, __u64 end, __u64 categories,
		    __u64 others, __u64 page_cnt, struct page_region *found)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .start = start, .end = end,
		.vec = (unsigned long)found, .vec_len = 1,
		.max_pages = page_cnt, .category_anyof_mask = categories,
		.category_inverted = others, .category_mask = others,
		.return_mask = categories,
	};
	int got;

	do
		got = ioctl(pagemap, PAGEMAP_SCAN, &arg);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int scan(int pagemap, __u64 start, __u64 end, __u64 categories,
		__u64 page_cnt, struct page_region *found)
{
	return scan_but(pagemap, start, end, categories, 0, page_cnt, found);
}

__u64 pt_pagemap_next(int pagemap, __u64 start, __u64 end)
{
	struct page_region found;
	int got = scan(pagemap, start, end, IS_THERE, 1, &found);

	if (got < 0)
		return start;
	return got ? found.start : end;
}

int pt_pagemap_large(int pagemap, __u64 *from, __u64 end, __u64 *to)
{
	struct page_region found;
	int got = scan_but(pagemap, *from, end, IS_LARGE, IS_ZERO, 0, &found);

	if (got > 0) {
		*from = found.start;
		*to = found.end;
	}
	return got;
}

__s64 pt_pagemap_unmapped(int pagemap, __u64 start, __u64 end)
{
	__s64 cnt = 0;

	while (start < end) {
		struct page_region found;
		int got = scan(pagemap, start, end, IS_PRESENT, 0, &found);

		if (got < 0)
			return got;
		if (!got)
			found.start = found.end = end;
		cnt += (found.start - start) / PAGE_SZ;
		start = found.end;
	}
	return cnt;
}

int pt_pagemap_has_own(int pagemap, __u64 start, __u64 end)
{
	struct page_region found;

	return scan_but(pagemap, start, end, IS_THERE, IS_FILE | IS_ZERO, 1,
			&found);
}

/* missing_in reads the words of at most WORDS pages; words that cannot be read
 * are of missing pages. */
static __u64 missing_in(int pagemap, __u64 start, __u64 end)
{
	__u64 words[WORDS], cnt = (end - start) / PAGE_SZ, sz = 0;
	ssize_t got = pread(pagemap, words, cnt * sizeof(words[0]),
			    start / PAGE_SZ * sizeof(words[0]));

	for (__u64 i = 0; i < cnt; i++)
		if ((ssize_t)((i + 1) * sizeof(words[0])) > got ||
		    !(words[i] & WORD_THERE))
			sz += PAGE_SZ;
	return sz;
}

__u64 pt_pagemap_missing(int pagemap, __u64 start, __u64 end)
{
	__u64 sz = 0;

	while (start < end) {
		__u64 next = pt_pagemap_next(pagemap, start, end);
		__u64 stop = end - next < WORDS * PAGE_SZ
			? end : next + WORDS * PAGE_SZ;

		sz += next - start + missing_in(pagemap, next, stop);
		start = stop;
	}
	return sz;
}

bool pt_pagemap_is_marked(int pagemap, __u64 start, __u64 end)
{
	while (start < end) {
		struct page_region found;

		if (scan(pagemap, start, end, IS_THERE, 0, &found) <= 0 ||
		    found.start != start || found.categories != IS_SWAPPED)
			return false;
		start = found.end;
	}
	return true;
}

bool pt_pagemap_has_marks(int pagemap, __u64 start, __u64 end)
{
	struct page_region found;

	return scan(pagemap, start, end, IS_SWAPPED, 1, &found) > 0;
}

/* is_lost: a read of the page fails.  In a large page of hugetlbfs a word tells nothing of
 * what is there in place of memory, but for the protection of a tracker. */
static bool is_lost(int mem, __u64 word, __u64 at)
{
	__u8 byte;

	return !word && pread(mem, &byte, 1, at) < 0 && errno == EIO;
}

/* words_poisoned sets the bits of what a run of marked pages has. */
static int words_poisoned(int pagemap, int mem, const struct page_region *run,
			  __u64 first, __u64 bits[8])
{
	__u64 words[WORDS], cnt = (run->end - run->start) / PAGE_SZ;
	ssize_t got = pread(pagemap, words, cnt * sizeof(words[0]),
			    run->start / PAGE_SZ * sizeof(words[0]));

	if (got < 0)
		return -errno;
	for (__u64 i = 0; i < got / sizeof(words[0]); i++)
		if ((words[i] & WORD_SWAPPED && words[i] & MARK_POISON &&
		     (words[i] & KIND_MASK) == KIND_MARK) ||
		    is_lost(mem, words[i], run->start + i * PAGE_SZ))
			bits[(first + i) / 64] |= 1ULL << ((first + i) % 64);
	return 0;
}

int pt_pagemap_poisoned(int pagemap, int mem, __u64 start, __u64 end, __u64 bits[8])
{
	__u64 at = start;

	memset(bits, 0, 8 * sizeof(bits[0]));
	while (at < end) {
		struct page_region found;
		/* In no other category: a tracker's look makes such a page one
		 * that was not written. */
		int got = scan(pagemap, at, end, IS_SWAPPED, 0, &found);

		if (got > 0)
			got = words_poisoned(pagemap, mem, &found,
					     (found.start - start) / PAGE_SZ, bits);
		else
			return got;
		if (got)
			return got;
		at = found.end;
	}
	return 0;
}
