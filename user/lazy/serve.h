/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* serve: answers the page faults of a guest from its image, and places the rest.
 *
 *     events: removals -----------> leave the fill list
 *             faults, once all ---> the page asked for, then the rest of its unit
 *             events are read
 *     no event: the next unit of --> the recorded order, then ascending
 *     nothing is pending ---------> the memory is unregistered: it is ordinary again
 *
 * One thread does it all, so that no page is copied between a removal that was read and
 * its effect.  A fault waits at most for one unit, or one large page.
 *
 * A page that is damaged in the image is poisoned: a read of it is a memory error for
 * the guest, never other bytes.  Where the kernel cannot, its threads wait for ever.
 *
 * Threads: one.
 */
#ifndef LAZY_SERVE_H
#define LAZY_SERVE_H

#include "lazy/latency.h"
#include "lazy/order.h"
#include "lazy/record.h"

struct pt_lazy_serve;

struct pt_lazy_serve_cfg {
	struct pt_lazy_image *image;
	struct pt_lazy_record *record;
	int uffd;		/* non-blocking; the caller's */
	/* 0 or below: none */
	int pidfd;		/* of the process that connected */
	int stop_fd;		/* readable: stop */
	int keeper_fd;		/* readable: the keeper ended */
	bool on_demand;		/* nothing is placed in the background */
	const struct pt_lazy_order *order;	/* NULL: none */
	struct pt_lazy_order *touched;	/* receives what is asked for; NULL */
	/* damaged: pages of the image that were poisoned, or not, since the kernel
	 * cannot. */
	void (*damaged)(void *arg, __u64 image_page, __u64 cnt, bool is_poisoned);
	void (*warn)(void *arg, const char *text);	/* a constant, again and again */
	void *arg;
};

enum pt_lazy_end {
	PT_LAZY_WHOLE,		/* all is placed, and unregistered */
	PT_LAZY_STOPPED,	/* by stop_fd */
	PT_LAZY_GONE,		/* the VMM ended */
};

/* pt_lazy_serve_create: -ENOMEM. */
int pt_lazy_serve_create(struct pt_lazy_serve **out,
			 const struct pt_lazy_serve_cfg *cfg, struct pt_error *err);
void pt_lazy_serve_destroy(struct pt_lazy_serve *s);	/* NULL: nothing */

/* pt_lazy_serve_run serves until *end.
 *   -ENOMEM  there is no memory for a page, since 10 s
 *   -EIO     the userfaultfd fails otherwise */
int pt_lazy_serve_run(struct pt_lazy_serve *s, enum pt_lazy_end *end,
		      struct pt_error *err);

/* pt_lazy_serve_latency: from the read of a fault until its page was placed. */
const struct pt_latency *pt_lazy_serve_latency(const struct pt_lazy_serve *s);

#endif
