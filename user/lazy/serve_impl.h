/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* serve_impl: the internals that the serve*.c share. */
#ifndef LAZY_SERVE_IMPL_H
#define LAZY_SERVE_IMPL_H

#include "lazy/serve.h"

#define PT_LAZY_WAITING_MAX	1024	/* faults */

/* pt_lazy_waiting: a fault that was read and is not answered. */
struct pt_lazy_waiting {
	__u64 addr;		/* in the VMM */
	__u64 read_ns;
	bool is_minor;
	bool is_hopeless;	/* no page can be placed there, as far as is known */
};

/* pt_lazy_lost: damaged pages that follow one another, and are not named yet. */
struct pt_lazy_lost {
	__u64 first, cnt;	/* of the image */
	bool is_poisoned;
};

struct pt_lazy_serve {
	struct pt_lazy_serve_cfg cfg;
	struct pt_lazy_record *r;
	__u8 *buffer;			/* a unit, or a large page */
	__u32 run_idx;			/* of the order */
	__u64 run_page;			/* pages of that run that were visited */
	__u64 at;			/* all pages below it were visited */
	struct pt_lazy_waiting waiting[PT_LAZY_WAITING_MAX];	/* the oldest first */
	__u32 waiting_cnt, hopeless_cnt;	/* of these */
	__u64 hopeless_since_ns;	/* one that waiting had no room for; 0: none */
	__u32 idle_cnt;			/* turns without an answer, while some wait */
	__u64 lacks_since_ns;		/* memory; 0: it does not */
	__u64 lacked_ns;		/* when it was seen last */
	struct pt_lazy_lost lost;
	__u64 gone_at_ns;		/* when the next look at the VMM is due */
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

/* pt_lazy_answer settles a page of the region's size: its pending parts come from the
 * image, the rest is zero.  asked: the 4096-byte page of the fault, or
 * PT_LAZY_NOT_ASKED.  Returns how many 4096-byte pages of data it placed, or
 *   -EAGAIN      not now: events must be read first, or memory lacks
 *   -EOPNOTSUPP  it is damaged, and stays as it is */
#define PT_LAZY_NOT_ASKED	(~0ULL)
long pt_lazy_answer(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		    __u64 page, __u64 asked);

/* pt_lazy_continue answers a fault on a page that the file has already.
 *   -EAGAIN  not now */
long pt_lazy_continue(struct pt_lazy_serve *s, const struct pt_lazy_region *region,
		      __u64 page, __u64 asked);

/* pt_lazy_has_pending: some 4096-byte page of a page of the region is pending. */
bool pt_lazy_has_pending(const struct pt_lazy_serve *s,
			 const struct pt_lazy_region *region, __u64 page);

/* pt_lazy_lost_tell names the damaged pages that are not named yet. */
void pt_lazy_lost_tell(struct pt_lazy_serve *s);

/* pt_lazy_place_unit places the pending pages of the page's unit, and returns how many
 * with data.  touched: it was asked for. */
__u64 pt_lazy_place_unit(struct pt_lazy_serve *s, __u64 page, bool touched);

static inline __u64 pt_lazy_image_page(const struct pt_lazy_region *region, __u64 page)
{
	return region->off / 4096 + page - region->first;
}

#endif
