// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lane/deltas.h"

#include <errno.h>
#include <string.h>
#include <stdbool.h>
#include <sys/mman.h>

#include <pagetrim/wire.h>

#define SLOT_SZ		(sizeof(struct pt_delta_slot) + PT_PAGE_SZ)
#define SETS_MAX	(1u << 24)	/* 256 GiB */

static __u64 slot_cnt(const struct pt_deltas *d)
{
	return (__u64)d->set_cnt * PT_DELTA_WAYS;
}

static void *table(__u64 sz)
{
	void *at = mmap(NULL, sz, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

int pt_deltas_init(struct pt_deltas *d, __u64 sz)
{
	__u64 sets = sz / (SLOT_SZ * PT_DELTA_WAYS);

	*d = (struct pt_deltas){ .set_cnt = sets < SETS_MAX ? sets : SETS_MAX };
	if (!d->set_cnt)
		return 0;
	d->slots = table(slot_cnt(d) * sizeof(*d->slots));
	d->pages = table(slot_cnt(d) * PT_PAGE_SZ);
	if (d->slots && d->pages)
		return 0;
	pt_deltas_free(d);
	return -ENOMEM;
}

void pt_deltas_free(struct pt_deltas *d)
{
	if (d->slots)
		munmap(d->slots, slot_cnt(d) * sizeof(*d->slots));
	if (d->pages)
		munmap(d->pages, slot_cnt(d) * PT_PAGE_SZ);
	*d = (struct pt_deltas){ 0 };
}

__u64 pt_deltas_sz(const struct pt_deltas *d)
{
	return slot_cnt(d) * SLOT_SZ;
}

/* set_of returns the first slot of the page's set: by a hash, since a lane's pages
 * lie in stripes. */
static struct pt_delta_slot *set_of(const struct pt_deltas *d, __u64 page_idx)
{
	__u64 hash = page_idx * 0x9e3779b97f4a7c15ULL >> 32;

	return &d->slots[(hash * d->set_cnt >> 32) * PT_DELTA_WAYS];
}

struct pt_delta_slot *pt_deltas_find(const struct pt_deltas *d, __u64 page_idx)
{
	struct pt_delta_slot *set = set_of(d, page_idx);

	for (int i = 0; i < PT_DELTA_WAYS; i++)
		if (set[i].page == page_idx + 1)
			return &set[i];
	return NULL;
}

/* is_old: the slot may be given to another page. */
static bool is_old(const struct pt_delta_slot *slot, __u32 round)
{
	return !slot->page || (!slot->round && round) ||
	       slot->round + 1ULL < round;
}

struct pt_delta_slot *pt_deltas_take(struct pt_deltas *d, __u64 page_idx,
				     __u32 round)
{
	struct pt_delta_slot *set = set_of(d, page_idx);
	struct pt_delta_slot *slot = pt_deltas_find(d, page_idx);

	for (int i = 0; !slot && i < PT_DELTA_WAYS; i++)
		if (is_old(&set[i], round))
			slot = &set[i];
	if (slot)
		slot->page = page_idx + 1;
	return slot;
}

__u8 *pt_deltas_page(const struct pt_deltas *d,
		     const struct pt_delta_slot *slot)
{
	return d->pages + (slot - d->slots) * (__u64)PT_PAGE_SZ;
}

__u64 pt_deltas_diff(const void *a, const void *b)
{
	__u64 mask = 0;

	for (unsigned int i = 0; i < PT_PAGE_BLOCKS; i++) {
		__u64 x[PT_BLOCK_SZ / 8], y[PT_BLOCK_SZ / 8], differ = 0;

		memcpy(x, (const __u8 *)a + i * PT_BLOCK_SZ, PT_BLOCK_SZ);
		memcpy(y, (const __u8 *)b + i * PT_BLOCK_SZ, PT_BLOCK_SZ);
		for (unsigned int k = 0; k < PT_BLOCK_SZ / 8; k++)
			differ |= x[k] ^ y[k];
		mask |= (__u64)!!differ << i;
	}
	return mask;
}
