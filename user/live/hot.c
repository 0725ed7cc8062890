/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "live/hot.h"

#include <errno.h>
#include <stdlib.h>

/* word: 64 pages. */
struct word {
	__u64 found[PT_HOT_LOOKS - 1];	/* by the looks before, the last first */
	__u64 hot;			/* left for last */
};

struct pt_hot {
	__u64 region_cnt;
	__u64 cnt;
	struct word *words;		/* PT_REGION_WORDS per region */
};

int pt_hot_create(struct pt_hot **out, __u64 region_cnt)
{
	struct pt_hot *h = calloc(1, sizeof(*h));

	if (h)
		h->words = calloc(region_cnt,
				  PT_REGION_WORDS * sizeof(*h->words));
	if (!h || !h->words) {
		free(h);
		return -ENOMEM;
	}
	h->region_cnt = region_cnt;
	*out = h;
	return 0;
}

void pt_hot_free(struct pt_hot *h)
{
	if (!h)
		return;
	free(h->words);
	free(h);
}

/* look notes that a look found these pages, and returns those that are hot. */
static __u64 look(struct word *w, __u64 found)
{
	__u64 hot = found;

	for (int i = PT_HOT_LOOKS - 2; i >= 0; i--) {
		hot &= w->found[i];
		w->found[i] = i ? w->found[i - 1] : found;
	}
	return hot;
}

static void add(struct pt_dirty *to, __u64 page_idx, __u64 bits)
{
	for (; bits; bits &= bits - 1)
		pt_dirty_set(to, page_idx + __builtin_ctzll(bits), 1);
}

__u64 pt_hot_sort(struct pt_hot *h, struct pt_dirty *found,
		  struct pt_dirty *to)
{
	__u64 bits[PT_REGION_WORDS], cooled_cnt = 0;

	h->cnt = 0;
	for (__u64 r = 0; r < h->region_cnt; r++) {
		pt_dirty_take(found, r, bits);
		for (unsigned i = 0; i < PT_REGION_WORDS; i++) {
			struct word *w = &h->words[r * PT_REGION_WORDS + i];
			__u64 cooled = w->hot & ~bits[i];

			w->hot = look(w, bits[i]);
			h->cnt += __builtin_popcountll(w->hot);
			cooled_cnt += __builtin_popcountll(cooled);
			add(to, r * PT_REGION_PAGES + i * 64,
			    (bits[i] & ~w->hot) | cooled);
		}
	}
	return cooled_cnt;
}

void pt_hot_release(struct pt_hot *h, struct pt_dirty *to)
{
	for (__u64 i = 0; h && h->cnt && i < h->region_cnt * PT_REGION_WORDS;
	     i++) {
		h->cnt -= __builtin_popcountll(h->words[i].hot);
		add(to, i * 64, h->words[i].hot);
		h->words[i].hot = 0;
	}
}

__u64 pt_hot_cnt(const struct pt_hot *h)
{
	return h ? h->cnt : 0;
}
