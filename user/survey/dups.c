// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "survey/dups.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <pagetrim/check.h>

struct pt_dups {
	__u64 *slots;		/* open addressing; 0 is an empty slot */
	__u32 slot_cnt;
	__u32 used;		/* different hashes in it */
	unsigned int zeros;	/* only hashes with so many leading zeros */
	__u64 pages[65];	/* pages added, by leading zeros of their
				 * hash */
};

static __u64 *slots_map(__u32 cnt)
{
	void *map = mmap(NULL, cnt * sizeof(__u64), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

int pt_dups_create(struct pt_dups **out, __u32 slots)
{
	struct pt_dups *t;

	pt_check(slots >= 16 && slots <= 1u << 31);
	pt_check((slots & (slots - 1)) == 0);
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->slot_cnt = slots;
	t->slots = slots_map(slots);
	if (!t->slots) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void pt_dups_destroy(struct pt_dups *t)
{
	if (!t)
		return;
	munmap(t->slots, t->slot_cnt * sizeof(t->slots[0]));
	free(t);
}

/* insert returns whether the hash was present.  The low bits select the slot,
 * the high bits the sample.  The loop ends, since a quarter of the slots is
 * always empty. */
static bool insert(struct pt_dups *t, __u64 hash)
{
	__u32 at = hash & (t->slot_cnt - 1);

	while (t->slots[at] && t->slots[at] != hash)
		at = (at + 1) & (t->slot_cnt - 1);
	if (t->slots[at])
		return true;
	t->used++;
	t->slots[at] = hash;
	return false;
}

static unsigned int leading_zeros(__u64 hash)
{
	return hash ? __builtin_clzll(hash) : 64;
}

/* halve drops every hash that has only the required leading zeros. */
static int halve(struct pt_dups *t)
{
	__u64 *old = t->slots;
	__u64 *slots = slots_map(t->slot_cnt);

	if (!slots)
		return -ENOMEM;
	t->slots = slots;
	t->used = 0;
	t->zeros++;
	for (__u32 i = 0; i < t->slot_cnt; i++)
		if (old[i] && leading_zeros(old[i]) >= t->zeros)
			insert(t, old[i]);
	munmap(old, t->slot_cnt * sizeof(old[0]));
	return 0;
}

int pt_dups_add(struct pt_dups *t, __u64 hash)
{
	int code;

	if (!hash)
		hash = 1;	/* 0 is an empty slot */
	while (t->used >= t->slot_cnt / 4 * 3) {
		code = halve(t);
		if (code)
			return code;
	}
	t->pages[leading_zeros(hash)]++;
	return leading_zeros(hash) >= t->zeros && insert(t, hash);
}

__u64 pt_dups_copies(const struct pt_dups *t)
{
	__u64 all = 0, sampled = 0;

	for (unsigned int i = 0; i <= 64; i++) {
		all += t->pages[i];
		if (i >= t->zeros)
			sampled += t->pages[i];
	}
	if (!t->zeros)
		return all - t->used;
	if (!sampled)
		return 0;
	return (double)all * (sampled - t->used) / sampled;
}

__u64 pt_dups_sample(const struct pt_dups *t)
{
	return 1ULL << t->zeros;
}
