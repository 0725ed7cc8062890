// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "trim/adaptive.h"

#include <string.h>
#include <pagetrim/wire.h>

/* seen: the result of scanning some pages of a scan batch. */
struct seen {
	__u32 page_cnt;
	__u32 saved_cnt;	/* blocks */
	__u32 hole_cnt;		/* runs of saved blocks, within pages */
};

void pt_adaptive_init(struct pt_adaptive *g, enum pt_trim trim, bool observes)
{
	memset(g, 0, sizeof(*g));
	g->trim = trim;
	g->observes = observes;
}

/* wants returns the pages that are worth scanning, also when everything is
 * scanned to observe. */
static __u64 wants(const struct pt_adaptive *g)
{
	const __u64 samples = ~0ULL / ((1ULL << PT_ADAPTIVE_STEP) - 1);

	if (!g->is_sampling || g->blind_cnt >= PT_ADAPTIVE_BLIND)
		return ~0ULL;
	return samples << g->turn;
}

__u64 pt_adaptive_plan(const struct pt_adaptive *g)
{
	if (g->trim == PT_TRIM_NONE)
		return 0;
	return g->observes ? ~0ULL : wants(g);
}

static struct seen look(const struct pt_adaptive *g, __u64 pages,
			const __u64 *masks)
{
	struct seen seen = { .page_cnt = __builtin_popcountll(pages) };

	for (; pages; pages &= pages - 1) {
		__u64 zero = ~pt_trim_mask(g->trim,
					   masks[__builtin_ctzll(pages)]);

		seen.saved_cnt += __builtin_popcountll(zero);
		seen.hole_cnt += __builtin_popcountll(zero & ~(zero << 1));
	}
	return seen;
}

static bool pays(const struct pt_adaptive *g, const struct seen *seen)
{
	__u32 cost = g->strain_cnt ? seen->hole_cnt * PT_ADAPTIVE_HOLE : 0;

	return seen->saved_cnt * PT_ADAPTIVE_GAIN >=
	       cost * PT_ADAPTIVE_GAIN + seen->page_cnt * PT_PAGE_BLOCKS;
}

/* missed_cnt: zero blocks in the pages that were not scanned. */
static __u64 missed_cnt(const struct pt_adaptive *g, __u64 unsearched,
			const __u64 *masks, const struct seen *seen)
{
	if (g->observes)
		return look(g, unsearched, masks).saved_cnt;
	return seen->page_cnt
		? (__u64)__builtin_popcountll(unsearched) * seen->saved_cnt /
		  seen->page_cnt : 0;
}

static void count(struct pt_adaptive *g, __u64 wanted, __u64 has_data,
		  const __u64 *masks, const struct seen *seen)
{
	struct pt_adaptive_counts *c = &g->counts;
	__u64 unsearched = has_data & ~wanted;

	c->pieces_searched += !~wanted;
	c->pieces_sampled += !!~wanted;
	c->pages_searched += seen->page_cnt;
	c->pages_unsearched += __builtin_popcountll(unsearched);
	c->blocks_saved += seen->saved_cnt;
	c->blocks_missed += missed_cnt(g, unsearched, masks, seen);
}

static void judge(struct pt_adaptive *g, const struct seen *seen)
{
	bool was_sampling = g->is_sampling;

	if (pays(g, seen)) {
		g->poor_cnt = 0;
		g->is_sampling = false;
	} else if (g->poor_cnt < PT_ADAPTIVE_LAG) {
		g->poor_cnt += seen->page_cnt;
		g->is_sampling |= g->poor_cnt >= PT_ADAPTIVE_LAG;
	}
	g->counts.switches += g->is_sampling != was_sampling;
}

void pt_adaptive_learn(struct pt_adaptive *g, __u64 has_data,
		       const __u64 masks[PT_ADAPTIVE_PIECE])
{
	__u64 wanted = wants(g);
	struct seen seen;

	if (!has_data || g->trim == PT_TRIM_NONE)
		return;
	g->learned = wanted;
	seen = look(g, has_data & wanted, masks);
	count(g, wanted, has_data, masks, &seen);
	if (seen.page_cnt) {
		judge(g, &seen);
		g->blind_cnt = 0;
	} else {
		g->blind_cnt += __builtin_popcountll(has_data);
	}
	g->turn = (g->turn + 1) % PT_ADAPTIVE_STEP;
	g->strain_cnt -= !!g->strain_cnt;
}

void pt_adaptive_put_off(struct pt_adaptive *g, unsigned i, __u64 mask)
{
	struct pt_adaptive_counts *c = &g->counts;
	__u32 saved_cnt = look(g, 1, &mask).saved_cnt;

	if (g->trim == PT_TRIM_NONE)
		return;
	if (g->learned >> i & 1) {
		c->pages_searched--;
		c->blocks_saved -= saved_cnt;
	} else {
		c->blocks_missed -= g->observes ? saved_cnt
			: c->blocks_missed / c->pages_unsearched;
		c->pages_unsearched--;
	}
}

void pt_adaptive_strain(struct pt_adaptive *g)
{
	g->strain_cnt = PT_ADAPTIVE_STRAIN;
}
