// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lane/copies.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define SLOTS_MIN	64

/* slot_cnt_of returns about two slots per page, so that most contents find a
 * free one; a power of two. */
static __u64 slot_cnt_of(__u64 page_cnt, __u32 lane_cnt)
{
	__u64 cnt = SLOTS_MIN;

	while (cnt * lane_cnt < 2 * page_cnt &&
	       2 * cnt * lane_cnt <= PT_COPIES_SLOTS_MAX)
		cnt *= 2;
	return cnt;
}

static void *table(__u64 sz)
{
	void *at = mmap(NULL, sz, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static __u64 slots_sz(const struct pt_copies *c)
{
	return (c->mask + 1) * sizeof(*c->slots);
}

int pt_copies_init(struct pt_copies *c, __u64 page_cnt, __u32 lane_cnt)
{
	__u64 slot_cnt = slot_cnt_of(page_cnt, lane_cnt);

	*c = (struct pt_copies){ 0 };
	if (page_cnt > ~0U)
		return 0;
	c->mask = slot_cnt - 1;
	c->page_cnt = page_cnt;
	c->slots = table(slots_sz(c));
	c->versions = table(page_cnt * sizeof(*c->versions));
	if (!c->slots || !c->versions) {
		pt_copies_free(c);
		return -ENOMEM;
	}
	/* Accesses are random, so large pages save TLB misses.  An old kernel
	 * may have none, which also works. */
	madvise(c->slots, slots_sz(c), MADV_HUGEPAGE);
	return 0;
}

void pt_copies_free(struct pt_copies *c)
{
	if (c->slots)
		munmap(c->slots, slots_sz(c));
	if (c->versions)
		munmap(c->versions, c->page_cnt * sizeof(*c->versions));
	*c = (struct pt_copies){ 0 };
}
