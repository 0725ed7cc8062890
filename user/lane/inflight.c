/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/inflight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>

struct frame {
	__u64 extent_first;	/* absolute; slot is extent_first % extent_cnt */
	__u16 extent_cnt;
	__u16 desc_cnt;
	__u32 sz;		/* bytes; 0: it was lost */
	__u64 sent_ns;
};

struct pt_inflight {
	struct pt_inflight_cfg cfg;
	__u64 cum_ack;		/* frames below are forgotten */
	__u64 next;		/* next sequence number */
	__u64 extent_tail;	/* extents below are forgotten */
	__u64 extent_next;
	struct frame *frames;
	struct pt_extent *extents;
};

static bool is_power_of_two(__u32 n)
{
	return n && !(n & (n - 1));
}

int pt_inflight_create(struct pt_inflight **out,
		       const struct pt_inflight_cfg *cfg)
{
	struct pt_inflight *f;

	if (!is_power_of_two(cfg->frame_cnt) ||
	    !is_power_of_two(cfg->extent_cnt) ||
	    cfg->extent_cnt < 2 * PT_RECORDS_MAX)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->cfg = *cfg;
	f->frames = calloc(cfg->frame_cnt, sizeof(*f->frames));
	f->extents = calloc(cfg->extent_cnt, sizeof(*f->extents));
	if (!f->frames || !f->extents) {
		pt_inflight_destroy(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

void pt_inflight_destroy(struct pt_inflight *f)
{
	if (!f)
		return;
	free(f->extents);
	free(f->frames);
	free(f);
}

bool pt_inflight_has_room(const struct pt_inflight *f)
{
	/* Twice the size: extents of a frame are contiguous, so the ring's end
	 * may be skipped. */
	return f->next - f->cum_ack < f->cfg.frame_cnt &&
	       f->extent_next - f->extent_tail + 2 * PT_RECORDS_MAX <=
	       f->cfg.extent_cnt;
}

__u64 pt_inflight_push(struct pt_inflight *f, __u32 frame_sz, __u32 desc_cnt,
		       __u64 sent_ns, const struct pt_extent *extents,
		       __u32 extent_cnt)
{
	struct frame *frame = &f->frames[f->next % f->cfg.frame_cnt];
	__u64 slot = f->extent_next % f->cfg.extent_cnt;

	pt_check(pt_inflight_has_room(f));
	pt_check(extent_cnt <= PT_RECORDS_MAX);
	if (slot + extent_cnt > f->cfg.extent_cnt) {
		f->extent_next += f->cfg.extent_cnt - slot;
		slot = 0;
	}
	memcpy(&f->extents[slot], extents, extent_cnt * sizeof(*extents));
	*frame = (struct frame){
		.extent_first = f->extent_next,
		.extent_cnt = extent_cnt,
		.desc_cnt = desc_cnt,
		.sz = frame_sz,
		.sent_ns = sent_ns,
	};
	f->extent_next += extent_cnt;
	return f->next++;
}

__u64 pt_inflight_cum_ack(const struct pt_inflight *f)
{
	return f->cum_ack;
}

__u64 pt_inflight_next_seq(const struct pt_inflight *f)
{
	return f->next;
}

bool pt_inflight_is_empty(const struct pt_inflight *f)
{
	return f->next == f->cum_ack;
}

const struct pt_extent *pt_inflight_extents(const struct pt_inflight *f,
					    __u64 seq, __u32 *extent_cnt,
					    __u32 *desc_cnt)
{
	const struct frame *frame = &f->frames[seq % f->cfg.frame_cnt];

	if (seq < f->cum_ack || seq >= f->next)
		return NULL;
	*extent_cnt = frame->extent_cnt;
	*desc_cnt = frame->desc_cnt;
	return &f->extents[frame->extent_first % f->cfg.extent_cnt];
}

__u64 pt_inflight_sent_ns(const struct pt_inflight *f, __u64 seq)
{
	return seq < f->cum_ack || seq >= f->next
		? 0 : f->frames[seq % f->cfg.frame_cnt].sent_ns;
}

__u32 pt_inflight_lost(struct pt_inflight *f, __u64 seq)
{
	struct frame *frame = &f->frames[seq % f->cfg.frame_cnt];
	__u32 sz = frame->sz;

	pt_check(seq >= f->cum_ack);
	pt_check(seq < f->next);
	frame->sz = 0;
	return sz;
}

__u32 pt_inflight_came(const struct pt_inflight *f, __u64 cum_ack)
{
	__u32 largest = 0;

	for (__u64 seq = f->cum_ack; seq < cum_ack && seq < f->next; seq++) {
		__u32 sz = f->frames[seq % f->cfg.frame_cnt].sz;

		if (sz > largest)
			largest = sz;
	}
	return largest;
}

int pt_inflight_release(struct pt_inflight *f, __u64 cum_ack)
{
	if (cum_ack < f->cum_ack || cum_ack > f->next)
		return -EPROTO;
	f->cum_ack = cum_ack;
	f->extent_tail = cum_ack == f->next
		? f->extent_next
		: f->frames[cum_ack % f->cfg.frame_cnt].extent_first;
	return 0;
}
