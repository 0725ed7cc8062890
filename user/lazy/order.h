/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* order: the order in which the pages of an image were asked for, beside it:
 * IMAGE.order.
 *
 *     {"version": 1, "bytes": 268435456, "order": [[1024, 16], [7, 1], ...]}
 *
 * Each entry: the first page of a run, by its number in the raw image, and how many.
 * It is a hint: a wrong order costs time, and nothing else.  A file that is none is as
 * if it was not there.
 *
 * Each run of a guest adds the pages that it asked for, which were not in the file
 * yet, at the end.  Threads: one.  Memory: 16 bytes per run, 2^20 runs at most.
 */
#ifndef LAZY_ORDER_H
#define LAZY_ORDER_H

#include <linux/types.h>
#include <pagetrim/error.h>

#define PT_LAZY_RUNS_MAX	(1u << 20)

struct pt_lazy_run {
	__u64 page;		/* of the image */
	__u64 cnt;
};

struct pt_lazy_order {
	struct pt_lazy_run *runs;
	__u32 cnt, capacity;
};

void pt_lazy_order_free(struct pt_lazy_order *o);

/* pt_lazy_order_add appends a run, or makes the last one longer; without memory, or at
 * the maximum, it does nothing. */
void pt_lazy_order_add(struct pt_lazy_order *o, __u64 page, __u64 cnt);

/* pt_lazy_order_merge appends the pages of more, an order of the same image, that o
 * lacks.  -ENOMEM. */
int pt_lazy_order_merge(struct pt_lazy_order *o, const struct pt_lazy_order *more,
			__u64 image_sz);

/* pt_lazy_order_read reads IMAGE.order of an image of image_sz bytes into o, which is
 * empty; 0 also if there is none.
 *   -EINVAL  it is no order of this image, or has more pages than it
 *   or as the system says */
int pt_lazy_order_read(struct pt_lazy_order *o, const char *image, __u64 image_sz,
		       struct pt_error *err);

/* pt_lazy_order_write replaces IMAGE.order at once. */
int pt_lazy_order_write(const struct pt_lazy_order *o, const char *image,
			__u64 image_sz, struct pt_error *err);

#endif
