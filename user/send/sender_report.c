/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sums up a sender's report. */
#include "send/sender_internal.h"

#include <string.h>

#include "trim/digest.h"

static void add_methods(struct pt_send_report *r, const struct pt_lane_counts *c)
{
	for (int m = 0; m < PT_COMPRESSION_CNT; m++) {
		r->methods[m].frames += atomic_load(&c->methods[m].frames);
		r->methods[m].raw += atomic_load(&c->methods[m].raw);
		r->methods[m].sz += atomic_load(&c->methods[m].sz);
	}
}

void pt_sender_count(struct pt_sender *s)
{
	struct pt_send_report *r = &s->report;

	r->zeroed_pages = pt_source_zeroed_cnt(s->cfg.source);
	r->files_sent_sz = pt_send_files_sent_sz(s->files);
	if (s->live.thread && pt_live_result(s->live.thread, NULL))
		r->live.tracking = *pt_live_report(s->live.thread);
	if (!s->lane_cnt)
		return;
	r->pages_sent = r->zero_pages_sent = 0;
	r->copies = r->put_off = 0;
	r->unreadable_sent = 0;
	r->deltas = r->delta_saved = r->delta_cache_sz = 0;
	r->frames = r->frames_lost = r->probes = 0;
	r->wire_bytes = r->block_bytes = r->credit_waits = r->path_waits = 0;
	memset(r->methods, 0, sizeof(r->methods));
	r->compress_switches = 0;
	r->generations = 0;
	r->pages_left = pt_hot_cnt(s->live.hot);
	r->has_path = pt_regulator_look(&s->regulator, &r->path);
	memset(&r->adaptive, 0, sizeof(r->adaptive));
	r->lane_cnt = s->lane_cnt;
	for (__u32 i = 0; i < s->lane_cnt; i++) {
		const struct pt_lane_counts *c = pt_lane_counts(s->lanes[i]);
		__u32 queue_idx = i % s->path.queue_cnt;
		struct pt_xsk_info xsk;

		r->pages_left += atomic_load(&c->dirty_pages);
		r->pages_sent += atomic_load(&c->pages);
		r->copies += atomic_load(&c->copies);
		r->deltas += atomic_load(&c->deltas);
		r->delta_saved += atomic_load(&c->delta_saved);
		r->delta_cache_sz += atomic_load(&c->delta_cache_sz);
		r->put_off += atomic_load(&c->put_off);
		r->zero_pages_sent += atomic_load(&c->zero_pages);
		r->unreadable_sent += atomic_load(&c->unreadable);
		r->frames += atomic_load(&c->frames);
		r->frames_lost += atomic_load(&c->frames_lost);
		r->probes += atomic_load(&c->probes);
		r->wire_bytes += atomic_load(&c->wire_bytes);
		r->block_bytes += atomic_load(&c->block_bytes);
		add_methods(r, c);
		r->compress_switches += atomic_load(&c->compress_switches);
		r->credit_waits += atomic_load(&c->credit_waits);
		r->path_waits += atomic_load(&c->path_waits);
#define X(symbol, name, text) \
		r->adaptive.symbol += atomic_load(&c->adaptive.symbol);
		PT_ADAPTIVE_COUNTS(X)
#undef X
		if (atomic_load(&c->generation) > r->generations)
			r->generations = atomic_load(&c->generation);
		pt_xsk_info(s->path.xsks[queue_idx], &xsk);
		r->lanes[i] = (struct pt_send_lane_report){
			.tx_queue = pt_lease_queue(s->path.leases[queue_idx]),
			.rx_queue = atomic_load(&c->queue),
			.frame_sz = atomic_load(&c->frame_sz),
			.hugepages = xsk.hugepages,
			.zero_copy = xsk.zero_copy,
			.frames = atomic_load(&c->frames),
		};
	}
}

/* name_region adds the region's pages whose digest, as last sent, is that of an
 * unreadable one. */
static void name_region(struct pt_sender *s, __u64 region_idx)
{
	const __u64 *digests = pt_digests_region(&s->digests, region_idx);
	__u64 gfn;
	__u32 cnt = pt_layout_region(s->layout, region_idx, &gfn);

	for (__u32 i = 0; digests && i < cnt; i++)
		if (digests[i] && digests[i] == pt_digest_unreadable(gfn + i))
			pt_page_names_add(&s->report.unreadable, gfn + i, 1);
}

void pt_sender_name_unreadable(struct pt_sender *s)
{
	__u64 region_cnt = pt_layout_region_cnt(s->layout);

	pt_sender_count(s);
	if (!s->report.unreadable_sent)
		return;
	for (__u64 i = 0; i < region_cnt; i++)
		name_region(s, i);
}
