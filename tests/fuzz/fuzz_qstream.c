// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A migration stream from a stranger: tokens lie within the bytes, blocks and
 * offsets within the list, the parse in pieces gives the same tokens, and a token is
 * never put off for longer than its bound. */
#include "input.h"

#include <pagetrim/check.h>
#include <pagetrim/wire.h>
#include "qstream/qstream.h"

static void check(const struct pt_qstream *q, const struct pt_qstream_token *t,
		  const __u8 *at, size_t sz)
{
	pt_check(t->sz <= sz);
	pt_check(q->block_cnt <= PT_QSTREAM_BLOCKS_MAX);
	if (t->kind == PT_QSTREAM_MORE)
		pt_check(sz < PT_QSTREAM_TOKEN_SZ_MAX);
	else if (t->kind != PT_QSTREAM_STRANGE)
		pt_check(t->sz);
	if (t->kind != PT_QSTREAM_PAGE && t->kind != PT_QSTREAM_ZERO)
		return;
	pt_check(t->block < q->block_cnt);
	pt_check(t->off % PT_PAGE_SZ == 0);
	pt_check(t->off < q->blocks[t->block].sz);
	if (t->kind == PT_QSTREAM_PAGE)
		pt_check(t->page >= at && t->page + PT_PAGE_SZ == at + t->sz);
}

/* next_piece parses with fewer bytes first, each time from the start of the
 * token. */
static void next_piece(struct pt_qstream *q, const __u8 *at, size_t sz,
		       struct pt_qstream_token *t, unsigned step)
{
	size_t there = 0;

	do {
		there = there + step < sz ? there + step : sz;
		pt_qstream_next(q, at, there, t);
	} while (t->kind == PT_QSTREAM_MORE && there < sz);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static struct pt_qstream q, pieces;
	struct pt_qstream_token t, p;
	unsigned step;
	size_t at = 0;

	if (!sz)
		return 0;
	step = 1 + data[0];
	data++;
	sz--;
	memset(&q, 0, sizeof(q));
	memset(&pieces, 0, sizeof(pieces));
	do {
		pt_qstream_next(&q, data + at, sz - at, &t);
		check(&q, &t, data + at, sz - at);
		next_piece(&pieces, data + at, sz - at, &p, step);
		pt_check(p.kind == t.kind && p.sz == t.sz &&
			 p.block == t.block && p.off == t.off);
		at += t.sz;
	} while (t.kind != PT_QSTREAM_MORE && t.kind != PT_QSTREAM_STRANGE);
	return 0;
}
