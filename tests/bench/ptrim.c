// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* ptrim: the time to open an image at rest and to read a page of it, from the page
 * cache.
 *
 *     ptrim IMAGE [PAGES]     one JSON object: microseconds to open, of PAGES random
 *                             pages with data (10000) p50 and p99, MB/s in order
 */
#include <stdio.h>
#include <stdlib.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "image/ptrim.h"

static __u8 page[PT_PAGE_SZ];

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

/* data_pages lists the pages with data; returns how many. */
static __u64 data_pages(const struct pt_ptrim *p, __u64 *list)
{
	const struct pt_layout *l = pt_ptrim_layout(p);
	__u64 cnt = 0;

	for (__u64 i = 0; i < pt_layout_page_cnt(l); i++)
		if (i % PT_REGION_PAGES < pt_layout_region(l, i / PT_REGION_PAGES,
							   NULL) &&
		    pt_ptrim_look(p, i).state == PT_PTRIM_DATA)
			list[cnt++] = i;
	return cnt;
}

/* read_all returns the MB/s at which the pages are read in order, which also brings
 * the file into the page cache. */
static double read_all(struct pt_ptrim_reader *r, const __u64 *list, __u64 cnt)
{
	__u64 began_ns = pt_clock_ns();

	for (__u64 i = 0; i < cnt; i++)
		pt_check(pt_ptrim_read(r, list[i], page) == PT_PTRIM_DATA);
	return 1e3 * cnt * PT_PAGE_SZ / (pt_clock_ns() - began_ns);
}

int main(int argc, char **argv)
{
	__u64 began_ns = pt_clock_ns(), open_ns, cnt, *list, *times;
	long pages = argc > 2 ? atol(argv[2]) : 10000;
	struct pt_ptrim_reader *r;
	struct pt_ptrim *p;
	struct pt_error err;
	double rate;

	if (argc < 2 || pages < 100 || pt_ptrim_open(&p, argv[1], NULL, &err)) {
		fprintf(stderr, "ptrim: %s\n", argc < 2 || pages < 100 ?
			"want IMAGE [PAGES], from 100 on" : err.text);
		return 2;
	}
	open_ns = pt_clock_ns() - began_ns;
	pt_check(!pt_ptrim_reader_create(&r, p));
	list = calloc(pt_layout_page_cnt(pt_ptrim_layout(p)), sizeof(*list));
	times = calloc(pages, sizeof(*times));
	pt_check(list && times);
	cnt = data_pages(p, list);
	pt_check(cnt);
	rate = read_all(r, list, cnt);
	srandom(1);
	for (long i = 0; i < pages; i++) {
		__u64 idx = list[random() % cnt];

		began_ns = pt_clock_ns();
		pt_check(pt_ptrim_read(r, idx, page) == PT_PTRIM_DATA);
		times[i] = pt_clock_ns() - began_ns;
	}
	qsort(times, pages, sizeof(*times), compare);
	printf("{\"open_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
	       "\"in_order_mb_s\": %.0f}\n", open_ns / 1e3, times[pages / 2] / 1e3,
	       times[pages * 99 / 100] / 1e3, rate);
	free(list);
	free(times);
	pt_ptrim_reader_destroy(r);
	pt_ptrim_close(p);
	return 0;
}
