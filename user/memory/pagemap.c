// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/pagemap.h"

#include <errno.h>
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
#define IS_THERE	(8 | 16)	/* present, swapped or marked */

__u64 pt_pagemap_next(int pagemap, __u64 start, __u64 end)
{
	struct page_region found;
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .start = start, .end = end,
		.vec = (unsigned long)&found, .vec_len = 1, .max_pages = 1,
		.category_anyof_mask = IS_THERE, .return_mask = IS_THERE,
	};
	int got;

	do
		got = ioctl(pagemap, PAGEMAP_SCAN, &arg);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return start;
	return got ? found.start : end;
}
