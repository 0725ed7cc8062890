/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sends the pages for which the receiver's guest waits before all others.
 *
 *     sweep ... page | wanted: the rest is dirty again, and the sweep ends
 *                      sweep of the wanted pages alone
 *                      sweep of all others, from the last wanted region on
 *
 * Each of these is a generation of its own: within one, no page is sent twice.
 */
#include "lane/lane_internal.h"

#include <string.h>

#define NONE	(~0ULL)		/* that wanted page was taken care of */

/* is_due: the page is to be sent: by a later sweep, or later in this one. */
static bool is_due(const struct pt_lane *l, __u64 page_idx)
{
	const struct pt_cursor *c = &l->cursor;
	__u64 in = page_idx % PT_REGION_PAGES;

	if (pt_dirty_has(l->cfg.job->dirty, page_idx))
		return true;
	if (l->phase != PT_PHASE_SWEEP || page_idx / PT_REGION_PAGES != c->region_idx)
		return false;
	return c->bits[in / 64] >> (in % 64) & 1 ||
	       (page_idx - c->batch_idx < 64 && c->left >> (page_idx - c->batch_idx) & 1);
}

void pt_lane_wanted_take(struct pt_lane *l)
{
	__u64 page_cnt = pt_layout_page_cnt(l->cfg.job->layout);

	for (__u32 i = 0; i < l->mail.wanted_cnt; i++) {
		__u64 page_idx = l->mail.wanted[i];

		if (l->wanted_cnt < PT_INBOX_WANTED && page_idx < page_cnt &&
		    page_idx / PT_REGION_PAGES % l->stripe_cnt == l->stripe &&
		    is_due(l, page_idx))
			l->wanted[l->wanted_cnt++] = page_idx;
	}
}

bool pt_lane_wanted_interrupts(const struct pt_lane *l)
{
	const struct pt_cursor *c = &l->cursor;

	return l->wanted_cnt && !c->wanted_cnt &&
	       (c->at == PT_CURSOR_REGION || c->at == PT_CURSOR_BATCH ||
		c->at == PT_CURSOR_PAGE);
}

/* put_back: pages of a region are dirty as before. */
static __u32 put_back(struct pt_lane *l, __u64 first_idx, __u64 bits)
{
	__u32 cnt = 0;

	for (; bits; bits &= bits - 1)
		cnt += pt_dirty_set(l->cfg.job->dirty,
				    first_idx + __builtin_ctzll(bits), 1);
	return cnt;
}

void pt_lane_wanted_interrupt(struct pt_lane *l)
{
	struct pt_cursor *c = &l->cursor;
	__u64 first_idx = c->region_idx * PT_REGION_PAGES;

	if (c->at == PT_CURSOR_PAGE)
		l->dirty_cnt += put_back(l, c->batch_idx, c->left);
	for (unsigned w = 0; c->at != PT_CURSOR_REGION && w < PT_REGION_WORDS; w++)
		l->dirty_cnt += put_back(l, first_idx + w * 64, c->bits[w]);
	c->left = 0;
	memset(c->bits, 0, sizeof(c->bits));
	c->at = PT_CURSOR_END;
}

void pt_lane_wanted_begin(struct pt_lane *l)
{
	struct pt_cursor *c = &l->cursor;

	c->wanted_cnt = l->wanted_cnt;
	c->wanted_next = 0;
}

/* take_region takes the wanted pages of a region out of the list, as bits. */
static void take_region(struct pt_lane *l, __u64 region_idx,
			__u64 bits[PT_REGION_WORDS])
{
	memset(bits, 0, PT_REGION_WORDS * sizeof(*bits));
	for (__u32 i = l->cursor.wanted_next; i < l->cursor.wanted_cnt; i++) {
		__u64 in = l->wanted[i] % PT_REGION_PAGES;

		if (l->wanted[i] == NONE ||
		    l->wanted[i] / PT_REGION_PAGES != region_idx)
			continue;
		bits[in / 64] |= 1ULL << (in % 64);
		l->wanted[i] = NONE;
	}
}

/* end drops what was taken care of; those that came meanwhile stay. */
static void end(struct pt_lane *l)
{
	struct pt_cursor *c = &l->cursor;

	l->wanted_cnt -= c->wanted_cnt;
	memmove(l->wanted, l->wanted + c->wanted_cnt,
		l->wanted_cnt * sizeof(*l->wanted));
	c->wanted_cnt = 0;
	c->at = PT_CURSOR_END;
}

int pt_lane_wanted_region(struct pt_lane *l)
{
	const struct pt_send_job *job = l->cfg.job;
	struct pt_cursor *c = &l->cursor;
	__u64 wanted[PT_REGION_WORDS];

	for (; c->wanted_next < c->wanted_cnt; c->wanted_next++) {
		__u64 page_idx = l->wanted[c->wanted_next];

		if (page_idx == NONE)
			continue;
		c->region_idx = page_idx / PT_REGION_PAGES;
		take_region(l, c->region_idx, wanted);
		c->cnt = 0;
		pt_dirty_take(job->dirty, c->region_idx, c->bits);
		for (unsigned w = 0; w < PT_REGION_WORDS; w++) {
			put_back(l, c->region_idx * PT_REGION_PAGES + w * 64,
				 c->bits[w] & ~wanted[w]);
			c->bits[w] &= wanted[w];
			c->cnt += __builtin_popcountll(c->bits[w]);
		}
		l->start_region = c->region_idx;
		if (!c->cnt)
			continue;
		l->dirty_cnt -= c->cnt;
		c->at = PT_CURSOR_VIEW;
		return 0;
	}
	end(l);
	return 0;
}
