/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lane_net: a network and a receiver for one lane, in its own thread, called by
 * it: a failed check aborts.
 *
 *     lane --> pt_xsk_tx_*, pt_conn_send* --> eaten, lost, or taken
 *      ^                                              |
 *      +---- inbox: probes seen, ACKs, orders --------+
 *
 * It drops frames that are too large, loses frames by configuration, and
 * answers as a receiver does.  At SYNC all frames that have not arrived are
 * missing.
 */
#ifndef TEST_LANE_NET_H
#define TEST_LANE_NET_H

#include "scratch.h"
#include "wire_kit.h"

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "lane/lane.h"
#include "rxq/rx_lane.h"
#include "wire/descriptors.h"
#include "wire/reader.h"

#define RAM	SCRATCH "/ram"
#define PAGES	(3 * PT_REGION_PAGES + 5)
#define FILES_MAX 4
#define DESC_SZ	3840
#define SLOTS	32			/* TX buffers */
#define FRAMES_MAX 4096			/* in flight */

struct net {
	const char *name;
	__u32 mtu;		/* larger frames are dropped; 0: all are */
	__u32 mtu_max;		/* both devices' MTU; 0: mtu */
	__u32 loss_pct;		/* of data frames */
	__u32 window;
	__u32 reprobe_at;	/* data frame at which it sends REPROBE */
	__u32 narrow_at;	/* data frame at which the MTU silently
				 * changes */
	__u32 mtu_then;		/* to this from there on */
	__u32 full_cnt;		/* so often the connection has no room for
				 * LANE_SET */
	__u32 cut_at;		/* data frame that cuts the source short */
	void (*spoil)(struct pt_msg_ack *ack);
	__u32 progress_ms;	/* the lane gives up after; 0: after long */
	bool is_mute;		/* its control connection is silent, too */
	__u32 bytes_per_s;	/* 0: no limit */
	bool is_lazy;		/* it acknowledges at SYNC only */
	bool copies;		/* pages may go as copies */
	enum pt_compression method;	/* of all frames */
	__u64 delta_cache_sz;	/* pages may go as deltas, see lane.h */
	__u32 refuse_each;	/* one in so many copies and deltas is refused;
				 * 0: none */
	bool arrivals;		/* ACKs report placed frames */
	void (*shape)(void);	/* changes ram before the source is made */
	bool (*is_held)(__u32 page);	/* the receiver holds it already */
	__u32 short_sz;		/* bytes that the source ends before its last
				 * page does; they are zero */
	enum { STILL, LIVE_REGIONS, LIVE_FILE } live;	/* the source */
	void (*meanwhile)(void);	/* called when the lane asks for a
					 * buffer: between the scan of pages and
					 * their sending */
	__u64 seq_max, probe_max;	/* see pt_lane_cfg */
	__u32 generation_max;
	__u32 file_pages[FILES_MAX];	/* not 0: the source is so many files,
				 * each a region, each short_sz short */
};

static struct net net;
static struct pt_lane *_Atomic lane;
static struct pt_rx_lane rx;
static __u64 random_state;
static __u64 now_ns;			/* of the receiver; each SYNC advances
					 * it */
static __u64 acked_ns;

static struct {
	void *buffer;
	__u32 sz;
} queued[SLOTS];
static __u32 queued_cnt;
static __u64 submitted_cnt;
static void *buffers[SLOTS];
static __u32 buffer_cnt;		/* free ones */

static __u32 full_cnt;			/* as often as it had none so far */
static __u32 data_cnt, probe_cnt, sync_cnt, set_cnt, set_sz;
static __u8 costs[FRAMES_MAX];		/* of a frame, by its number */
static __u64 sent_desc;			/* credit taken, */
static __u32 cost_max, cost_cnt;	/* of one frame; frames above the window */
static __u64 freed_desc, lost_desc;	/* given back, as last reported */

static __u8 ram[PAGES][PT_PAGE_SZ] __attribute__((aligned(4096)));
static __u8 copy[PAGES][PT_PAGE_SZ];
static __u32 generations[PAGES];

/* The state that a sender of copies must respect, by sequence numbers, each +
 * 1. */
static __u64 carried[PAGES];	/* the last frame with a record of the page */
static __u64 named[PAGES];	/* the last that names it as an original */
static __u64 cum_ack;		/* the receiver has decided those below */
static __u32 copy_cnt;		/* records, with those sent again */
static __u32 delta_cnt;		/* likewise */
static __u64 refused[PAGES];	/* not reported yet */
static __u32 refused_cnt, refused_all_cnt, copy_seen_cnt;

/* inbox: the worker's thread may run before its start returned. */
static struct pt_inbox *inbox(void)
{
	while (!lane)
		usleep(100);
	return pt_lane_inbox(lane);
}

static void ack(void)
{
	struct pt_message m;

	acked_ns = pt_clock_ns();
	pt_rx_lane_ack(&rx, &m);
	freed_desc = m.ack.freed_desc;
	for (__u32 i = 0; i < m.ack.missing_cnt; i++)
		for (__u32 n = 0; n < m.ack.missing[i].cnt; n++)
			lost_desc += costs[(m.ack.missing[i].first + n) %
					   FRAMES_MAX];
	cum_ack = m.ack.upto;
	if (net.spoil)
		net.spoil(&m.ack);
	if (refused_cnt)	/* never later than the ACK */
		pt_inbox_refused(inbox(), &(struct pt_msg_refused){
					.page = refused,
					.page_cnt = refused_cnt });
	refused_cnt = 0;
	pt_inbox_ack(inbox(), &m.ack);
	pt_rx_lane_told(&rx);
}

/* note_delta: the base is what the receiver holds, and no frame of the page is in
 * flight. */
static void note_delta(const struct pt_reader *r,
		       const struct pt_record_host *rec)
{
	pt_check(net.delta_cache_sz);
	pt_check(rec->gfn < PAGES);
	pt_check(carried[rec->gfn] && carried[rec->gfn] <= cum_ack);
	pt_check(pt_record_base(rec, r->id.generation) ==
		 generations[rec->gfn]);
	delta_cnt++;
}

/* note_sent checks the sender's part: a copy goes when its original's frames
 * are decided, and the original is not sent again before the copy is
 * decided. */
static void note_sent(struct pt_reader *r)
{
	struct pt_record_host rec;
	__u64 original;

	while (pt_reader_next(r, &rec)) {
		if (rec.kind == PT_RECORD_DELTA)
			note_delta(r, &rec);
		for (__u64 i = 0; i < pt_record_page_cnt(&rec); i++) {
			pt_check(rec.gfn + i < PAGES);
			pt_check(named[rec.gfn + i] <= cum_ack);
			carried[rec.gfn + i] = r->id.seq + 1;
		}
		if (rec.kind != PT_RECORD_COPY)
			continue;
		pt_check(net.copies);
		original = pt_record_original(rec.mask);
		pt_check(original < PAGES);
		pt_check(carried[original] && carried[original] <= cum_ack);
		named[original] = r->id.seq + 1;
		copy_cnt++;
	}
	pt_reader_rewind(r);
}

/* is_refused: a copy must name the original's present version; one in
 * refuse_each is treated as if it did not. */
static bool is_refused(const struct pt_reader *r,
		       const struct pt_record_host *rec)
{
	if (rec->kind != PT_RECORD_COPY && rec->kind != PT_RECORD_DELTA)
		return false;
	pt_check(rec->kind == PT_RECORD_DELTA ||
		 pt_record_version(rec->mask) ==
		 generations[pt_record_original(rec->mask)]);
	if (!net.refuse_each || ++copy_seen_cnt % net.refuse_each)
		return false;
	pt_check(refused_cnt < PAGES);
	refused[refused_cnt++] = pt_record_copy_of(rec->gfn, r->id.generation);
	refused_all_cnt++;
	return true;
}

/* place places a frame's pages, as the receiver must. */
static void place(struct pt_reader *r)
{
	struct pt_record_host rec;
	unsigned int got;

	while (pt_reader_next(r, &rec)) {
		if (is_refused(r, &rec))
			continue;
		for (__u64 i = 0; i < pt_record_page_cnt(&rec); i++) {
			__u64 gfn = rec.gfn + i;

			pt_check(gfn < PAGES);
			if (r->id.generation < generations[gfn])
				continue;
			if (r->id.generation > generations[gfn] &&
			    rec.kind != PT_RECORD_DELTA)
				memset(copy[gfn], 0, PT_PAGE_SZ);
			generations[gfn] = r->id.generation;
		}
		if (rec.kind == PT_RECORD_COPY &&
		    r->id.generation == generations[rec.gfn])
			memcpy(copy[rec.gfn],
			       copy[pt_record_original(rec.mask)], PT_PAGE_SZ);
		if (!pt_record_has_blocks(&rec) ||
		    r->id.generation < generations[rec.gfn])
			continue;
		for (__u64 left = rec.mask; left; left &= left - 1)
			memcpy(&copy[rec.gfn][__builtin_ctzll(left) * 64],
			       pt_reader_blocks(r, 1, &got), 64);
	}
}

/* cost_of returns a frame's cost, by the document. */
static __u32 cost_of(struct pt_reader *r, __u32 desc_cnt)
{
	struct pt_record_host rec;
	__u32 blocks = 0;

	while (pt_reader_next(r, &rec))
		blocks += rec.kind == PT_RECORD_BLOCKS
				? pt_record_block_cnt(&rec)
				: 64 * (rec.kind != PT_RECORD_ZEROES);
	pt_reader_rewind(r);
	return blocks / 64 > desc_cnt ? blocks / 64 : desc_cnt;
}

static void decompress(struct pt_reader *r)
{
	static struct pt_decompressor *d;

	if (!r->is_compressed)
		return;
	if (!d)
		pt_check(!pt_decompressor_create(&d));
	pt_check(pt_reader_decompress(r, d));
}

static void data_arrives(struct pt_reader *r)
{
	__u32 desc_cnt = pt_desc_cnt(r->sent_sz, DESC_SZ);
	enum pt_seq what = pt_rx_lane_take(&rx, r->id.seq, cost_of(r, desc_cnt),
					   now_ns);

	pt_check(what == PT_SEQ_NEW);
	decompress(r);
	place(r);
	pt_rx_lane_tick(&rx, now_ns, PT_REORDER_MIN_NS);
	if (net.is_lazy)
		return;
	if (pt_rx_lane_is_urgent(&rx) || pt_clock_ns() - acked_ns > 1000000)
		ack();
}

/* charge: only a frame of more pages than the window may exceed it, alone. */
static void charge(struct pt_reader *r, __u32 sz)
{
	__u64 in_flight = sent_desc - freed_desc - lost_desc;
	__u32 desc_cnt = pt_desc_cnt(sz, DESC_SZ), cost = cost_of(r, desc_cnt);

	costs[r->id.seq % FRAMES_MAX] = cost;
	sent_desc += cost;
	cost_max = cost > cost_max ? cost : cost_max;
	cost_cnt += cost > net.window;
	if (cost > net.window)
		pt_check(!in_flight && desc_cnt <= net.window);
	else
		pt_check(in_flight + cost <= net.window);
}

static void data_sent(struct pt_reader *r, __u32 sz)
{
	pt_check(r->id.seq == data_cnt++);
	pt_check(sz <= set_sz);
	note_sent(r);
	charge(r, sz);
	if (data_cnt == net.cut_at)
		pt_check(!truncate(RAM, PT_PAGE_SZ));
	if (data_cnt == net.reprobe_at) {
		net.mtu = net.mtu_then;
		pt_inbox_reprobe(inbox());
	}
	if (data_cnt == net.narrow_at)
		net.mtu = net.mtu_then;
}

static void probe_arrives(const struct pt_reader *r)
{
	const struct pt_msg_probe_seen seen = {
		.probe = r->id.seq,
		.frame_sz = r->sent_sz,
		.queue = 3,
	};

	pt_inbox_probe(inbox(), &seen);
}

static void carry(const void *bytes, __u32 sz)
{
	const struct pt_span span = { bytes, sz };
	struct pt_reader r;

	pt_check(pt_reader_open(&r, &span, 1) == PT_VERDICT_STEERED);
	pt_check(pt_reader_auth_ok(&r));
	if (r.kind == PT_FRAME_PROBE)
		probe_cnt++;
	else
		data_sent(&r, sz);
	if (sz > net.mtu + PT_ETH_SZ)
		return;
	if (r.kind == PT_FRAME_PROBE)
		probe_arrives(&r);
	else if (kit_random(&random_state) % 100 >= net.loss_pct)
		data_arrives(&r);
}

void *pt_xsk_tx_frame(struct pt_xsk *x)
{
	(void)x;
	if (net.meanwhile)
		net.meanwhile();
	return buffer_cnt ? buffers[--buffer_cnt] : NULL;
}

void pt_xsk_tx_give_back(struct pt_xsk *x, void *buffer)
{
	(void)x;
	buffers[buffer_cnt++] = buffer;
}

void pt_xsk_tx_submit(struct pt_xsk *x, void *buffer, __u32 sz)
{
	(void)x;
	pt_check(queued_cnt < SLOTS);
	queued[queued_cnt].buffer = buffer;
	queued[queued_cnt++].sz = sz;
	submitted_cnt++;
}

/* The device accepts ten frames at a time. */
int pt_xsk_tx_kick(struct pt_xsk *x)
{
	__u32 cnt = queued_cnt < 10 ? queued_cnt : 10;

	for (__u32 i = 0; i < cnt; i++) {
		carry(queued[i].buffer, queued[i].sz);
		pt_xsk_tx_give_back(x, queued[i].buffer);
	}
	queued_cnt -= cnt;
	memmove(queued, queued + cnt, queued_cnt * sizeof(queued[0]));
	return queued_cnt > 0;
}

__u64 pt_xsk_tx_mark(const struct pt_xsk *x)
{
	(void)x;
	return submitted_cnt;
}

bool pt_xsk_tx_is_taken(struct pt_xsk *x, __u64 mark)
{
	(void)x;
	return mark + queued_cnt <= submitted_cnt;
}

bool pt_xsk_tx_has_buffer(struct pt_xsk *x)
{
	(void)x;
	return buffer_cnt;
}

bool pt_xsk_tx_is_idle(struct pt_xsk *x)
{
	(void)x;
	return !queued_cnt;
}

/* As in copy mode. */
bool pt_xsk_tx_waits(struct pt_xsk *x)
{
	(void)x;
	return false;
}

int pt_xsk_tx_wait(struct pt_xsk *x, int timeout_ms)
{
	(void)timeout_ms;
	while (pt_xsk_tx_kick(x))
		;
	return 1;
}

/* The receiver always seems to live, or never. */
__u64 pt_conn_last_recv_ns(const struct pt_conn *c)
{
	(void)c;
	return net.is_mute ? 0 : pt_clock_ns();
}

static int take_lane_set(const struct pt_message *m)
{
	if (full_cnt < net.full_cnt) {
		full_cnt++;
		return -ENOBUFS;
	}
	pt_check(m->lane_set.queue == 3);
	set_cnt++;
	set_sz = m->lane_set.frame_sz;
	rx.window = net.window;
	pt_inbox_ready(inbox(), net.window);
	return 0;
}

/* SYNC: a frame that has not arrived by now is lost. */
int pt_conn_send(struct pt_conn *c, const struct pt_message *m,
		 struct pt_error *err)
{
	(void)c;
	(void)err;
	if (m->type == PT_MSG_LANE_SET)
		return take_lane_set(m);
	pt_check(m->type == PT_MSG_SYNC);
	pt_check(m->sync.seq_end == data_cnt);
	sync_cnt++;
	pt_rx_lane_sync(&rx, m->sync.seq_end, now_ns);
	pt_rx_lane_tick(&rx, now_ns, PT_REORDER_MIN_NS);
	now_ns += PT_REORDER_MAX_NS;
	pt_rx_lane_tick(&rx, now_ns, PT_REORDER_MIN_NS);
	ack();
	return 0;
}

#endif
