/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* serve_impl: the internals that the serve*.c share. */
#ifndef LAZY_SERVE_IMPL_H
#define LAZY_SERVE_IMPL_H

#include "lazy/serve.h"

struct pt_lazy_serve {
	struct pt_lazy_serve_cfg cfg;
	struct pt_lazy_record *r;
	__u8 *buffer;			/* a unit, or a large page */
	__u32 run_idx;			/* of the order */
	__u64 run_page;			/* pages of that run that were visited */
	__u64 at;			/* all pages below it were visited */
	__u64 read_ns;			/* when the events were read */
	__u64 lacks_since_ns;		/* memory; 0: it does not */
	bool is_gone;			/* the VMM ended */
	bool is_stuck;			/* some page stays pending: it is damaged and
					 * cannot be poisoned, or ordinary memory
					 * cannot be made of it */
	int code;			/* of an error that ends it */
	struct pt_latency latency;
};

static inline bool pt_lazy_has_ended(const struct pt_lazy_serve *s)
{
	return s->is_gone || s->code;
}

/* pt_lazy_answer settles a page of the region's size for a fault; is_pending: it is to
 * come from the image, else it is zero.  Returns how many 4096-byte pages of data it
 * placed, or
 *   -EAGAIN      not now: events must be read first, or memory lacks
 *   -EOPNOTSUPP  it is damaged, and stays as it is */
long pt_lazy_answer(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		    __u64 page, bool is_pending);

/* pt_lazy_continue answers a fault on a page that the file has already. */
long pt_lazy_continue(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		      __u64 page);

/* pt_lazy_place_unit places the pending pages of the page's unit, and returns how many
 * with data.  touched: it was asked for. */
__u64 pt_lazy_place_unit(struct pt_lazy_serve *s, __u64 page, bool touched);

static inline __u64 pt_lazy_image_page(const struct pt_lazy_region *region, __u64 page)
{
	return region->off / 4096 + page - region->first;
}

#endif
