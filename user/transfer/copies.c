// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "transfer/copies.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN	64

/* slot_cnt_of: about two a page, so that most contents find theirs free; a power
 * of two. */
static __u64 slot_cnt_of(__u64 page_cnt, __u32 lane_cnt)
{
	__u64 cnt = SLOTS_MIN;

	while (cnt * lane_cnt < 2 * page_cnt &&
	       2 * cnt * lane_cnt <= PT_COPIES_SLOTS_MAX)
		cnt *= 2;
	return cnt;
}

int pt_copies_init(struct pt_copies *c, __u64 page_cnt, __u32 lane_cnt)
{
	__u64 slot_cnt = slot_cnt_of(page_cnt, lane_cnt);

	*c = (struct pt_copies){ 0 };
	if (page_cnt > ~0U)
		return 0;
	/* Large: what is never noted takes no memory. */
	c->slots = calloc(slot_cnt, sizeof(*c->slots));
	if (!c->slots)
		return -ENOMEM;
	c->mask = slot_cnt - 1;
	return 0;
}

void pt_copies_free(struct pt_copies *c)
{
	free(c->slots);
	*c = (struct pt_copies){ 0 };
}
