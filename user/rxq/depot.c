/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/depot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/check.h>

int pt_depot_init(struct pt_depot *d, __u32 parcel_cnt, int event_fd)
{
	memset(d, 0, sizeof(*d));
	d->parcels = calloc(parcel_cnt, sizeof(*d->parcels));
	if (!d->parcels)
		return -ENOMEM;
	d->parcel_cnt = parcel_cnt;
	d->event_fd = event_fd;
	return 0;
}

void pt_depot_free(struct pt_depot *d)
{
	free(d->parcels);
	d->parcels = NULL;
}

/* frame_copy copies only the used spans. */
static void frame_copy(struct pt_rx_frame *to, const struct pt_rx_frame *from)
{
	memcpy(to->spans, from->spans, from->span_cnt * sizeof(*from->spans));
	to->span_cnt = from->span_cnt;
	to->sz = from->sz;
}

struct pt_parcel *pt_depot_take(struct pt_depot *d,
				const struct pt_rx_frame *frame)
{
	struct pt_parcel *p = d->free;

	if (p) {
		d->free = p->next;
	} else {
		pt_check(d->used_cnt < d->parcel_cnt);
		p = &d->parcels[d->used_cnt++];
	}
	p->next = NULL;
	p->depot = d;
	p->credit_desc = 0;
	p->placed_upto = 0;
	frame_copy(&p->frame, frame);
	d->chunk_cnt += frame->span_cnt;
	return p;
}

/* wake: both this and pt_depot_sleep are sequentially consistent: a sleeping
 * thread has seen what was stored before, or its sleep is seen. */
static void wake(struct pt_depot *d)
{
	if (atomic_load(&d->is_asleep) && atomic_exchange(&d->is_asleep, false))
		eventfd_write(d->event_fd, 1);
}

void pt_depot_tell(struct pt_depot *d)
{
	atomic_store(&d->has_news, true);
	wake(d);
}

/* give_back returns the list from first to last, all of them of depot d. */
static void give_back(struct pt_depot *d, struct pt_parcel *first,
		      struct pt_parcel *last)
{
	last->next = atomic_load_explicit(&d->back, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&d->back, &last->next, first))
		;	/* another placer was faster */
	wake(d);
}

void pt_parcels_give_back(struct pt_parcel *first)
{
	while (first) {
		struct pt_parcel *last = first, *next;

		while (last->next && last->next->depot == first->depot)
			last = last->next;
		next = last->next;
		give_back(first->depot, first, last);
		first = next;
	}
}

__u32 pt_depot_collect(struct pt_depot *d, struct pt_rx_frame *frames,
		       __u32 max)
{
	struct pt_parcel *list, *p;
	__u32 cnt = 0;

	if (!atomic_load_explicit(&d->back, memory_order_relaxed))
		return 0;
	list = atomic_exchange(&d->back, NULL);
	while (list && cnt < max) {
		p = list;
		list = p->next;
		d->chunk_cnt -= p->frame.span_cnt;
		frame_copy(&frames[cnt++], &p->frame);
		p->next = d->free;
		d->free = p;
	}
	if (!list)
		return cnt;
	for (p = list; p->next; )	/* more than max: the rest comes next
					 * time */
		p = p->next;
	give_back(d, list, p);
	return cnt;
}

bool pt_depot_sleep(struct pt_depot *d)
{
	atomic_store(&d->is_asleep, true);
	return !atomic_load(&d->back) && !atomic_exchange(&d->has_news, false);
}

void pt_depot_wake(struct pt_depot *d)
{
	atomic_store(&d->is_asleep, false);
}
