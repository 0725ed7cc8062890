/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/seqmap.h"

#include <stdbool.h>

#include <pagetrim/check.h>

#define WORDS	(PT_SEQMAP_SZ / 64)

static __u64 *word_of(struct pt_seqmap *m, __u64 seq)
{
	return &m->bits[seq / 64 % WORDS];
}

static bool is_taken(struct pt_seqmap *m, __u64 seq)
{
	return *word_of(m, seq) >> (seq % 64) & 1;
}

/* raise_to opens the numbers [m->top, top): their bits, last used a window
 * ago, become 0. */
static void raise_to(struct pt_seqmap *m, __u64 top)
{
	while (m->top < top) {
		if (m->top % 64 == 0)
			*word_of(m, m->top) = 0;
		m->top = m->top % 64 == 0 && top - m->top >= 64
			? m->top + 64 : m->top + 1;
	}
}

enum pt_seq pt_seqmap_look(struct pt_seqmap *m, __u64 seq)
{
	/* Whole words leave the window, which explains the 64. */
	if (seq >= m->decided + PT_SEQ_AHEAD ||
	    seq + PT_SEQMAP_SZ < m->top + 64)
		return PT_SEQ_OUT;
	if (seq < m->top && is_taken(m, seq))
		return PT_SEQ_DUPLICATE;
	return seq < m->decided ? PT_SEQ_LATE : PT_SEQ_NEW;
}

enum pt_seq pt_seqmap_take(struct pt_seqmap *m, __u64 seq)
{
	enum pt_seq what = pt_seqmap_look(m, seq);

	if (what == PT_SEQ_OUT)
		return what;
	if (seq >= m->top)
		raise_to(m, seq + 1);
	*word_of(m, seq) |= 1ULL << (seq % 64);
	return what;
}

void pt_seqmap_raise(struct pt_seqmap *m, __u64 top)
{
	__u64 limit = m->decided + PT_SEQ_AHEAD;

	raise_to(m, top < limit ? top : limit);
}

void pt_seqmap_advance(struct pt_seqmap *m)
{
	while (m->decided < m->top) {
		__u64 open = ~*word_of(m, m->decided) >> (m->decided % 64);
		__u64 run = open ? (__u64)__builtin_ctzll(open)
				 : 64 - m->decided % 64;

		if (run > m->top - m->decided)
			run = m->top - m->decided;
		m->decided += run;
		if (open)
			return;
	}
}

__u32 pt_seqmap_decide(struct pt_seqmap *m, __u64 end,
		       struct pt_seq_range *ranges, __u32 max)
{
	__u32 cnt = 0;

	pt_check(end <= m->top);
	for (;;) {
		__u64 first;

		pt_seqmap_advance(m);
		first = m->decided;
		if (first >= end || cnt == max)
			return cnt;
		while (m->decided < end && !is_taken(m, m->decided))
			m->decided++;
		ranges[cnt].first = first;
		ranges[cnt].cnt = m->decided - first;
		cnt++;
	}
}
