// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_flow.h"

#include <pagetrim/check.h>
#include <stdlib.h>

#include "wire_hold.h"

#define BATCH		64	/* frames read in one turn */
#define WORK_EVERY	32	/* frames after which the kernel is called */
#define TX_PAUSE_NS	50000	/* when the kernel takes no more for now */

struct wire_flow {
	struct wire_flow_cfg cfg;
	struct wire_counts counts;
	struct wire_hold hold;
	struct wire_frame frames[WIRE_HELD_MAX]; /* the held frames' storage */
	struct wire_frame *free[WIRE_HELD_MAX];
	__u32 free_cnt;
};

struct wire_flow *wire_flow_create(const struct wire_flow_cfg *cfg)
{
	struct wire_flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return NULL;
	flow->cfg = *cfg;
	while (flow->free_cnt < WIRE_HELD_MAX) {
		flow->free[flow->free_cnt] = &flow->frames[flow->free_cnt];
		flow->free_cnt++;
	}
	return flow;
}

void wire_flow_free(struct wire_flow *flow)
{
	free(flow);
}

static void frame_out(struct wire_flow *flow, const struct wire_frame *f)
{
	wire_queue_send(flow->cfg.queue, !flow->cfg.from, f);
	flow->counts.out++;
	flow->counts.out_bytes += f->sz;
}

/* copy_out sends a copy on its way, at once or later. */
static void copy_out(struct wire_flow *flow, __u16 lane,
		     const struct wire_frame *f, const struct wire_verdict *v,
		     __u64 now_ns)
{
	__u64 wait_ns = v->delay_us * 1000ULL;
	struct wire_frame *kept;

	flow->counts.data_out++;
	if ((!v->hold && !v->delay_us) || !flow->free_cnt) {
		frame_out(flow, f);
		return;
	}
	kept = flow->free[--flow->free_cnt];
	*kept = *f;
	if (v->hold)
		wait_ns = flow->cfg.path->hold_ns;
	pt_check(wire_hold_put(&flow->hold, lane, kept,
			       v->hold ? v->hold : WIRE_HOLD_TIME,
			       now_ns + wait_ns));
	flow->counts.reordered += v->hold > 0;
	flow->counts.delayed += v->delay_us > 0;
}

/* flip changes a bit of a part of f; WIRE_PART_CNT: of none. */
static enum wire_part flip(struct wire_flow *flow, struct wire_frame *f,
			   __u32 at)
{
	const struct wire_path *path = flow->cfg.path;
	struct wire_queue *q = flow->cfg.queue;
	struct wire_parts parts;
	enum wire_part part;
	__u32 bit;

	if (!wire_parts_find(wire_queue_data(q, f), f->descs[0].len, f->sz,
			     path->port, &parts) ||
	    !wire_parts_bit(&parts, path->flip_parts, at, &part, &bit) ||
	    !wire_queue_own(q, f))
		return WIRE_PART_CNT;
	wire_queue_flip(q, f, bit);
	switch (part) {
#define X(symbol, name)						\
	case WIRE_PART_##symbol:				\
		flow->counts.flip_##name++;			\
		break;
	WIRE_PARTS(X)
#undef X
	default:
		break;
	}
	return part;
}

/* damage changes a copy by the plan; returns whether it is whole. */
static bool damage(struct wire_flow *flow, struct wire_frame *f,
		   const struct wire_verdict *v, bool *doubtful)
{
	enum wire_part part = WIRE_PART_CNT;

	if (v->cut && f->sz > WIRE_CUT_MIN) {
		wire_queue_cut(flow->cfg.queue, f, wire_cut_sz(f->sz, v->at));
		flow->counts.cut++;
		return false;
	}
	if (v->flip)
		part = flip(flow, f, v->at);
	*doubtful |= part == WIRE_PART_OUTER;
	return part == WIRE_PART_CNT || part == WIRE_PART_OUTER;
}

static void data_in(struct wire_flow *flow, const struct wire_id *id,
		    const struct wire_frame *f, __u64 now_ns)
{
	const struct wire_plan *plan = &flow->cfg.path->plan;
	struct wire_counts *c = &flow->counts;
	struct wire_verdict first = wire_plan_judge(plan, id, 0);
	unsigned whole_cnt = 0;
	bool doubtful = false;

	c->repeated += first.repeat_cnt;
	for (unsigned copy = 0; copy < first.repeat_cnt; copy++)
		wire_queue_get(flow->cfg.queue, f);
	wire_hold_arrive(&flow->hold, id->lane);
	for (unsigned copy = 0; copy <= first.repeat_cnt; copy++) {
		struct wire_verdict v = copy ? wire_plan_judge(plan, id, copy)
					     : first;
		struct wire_frame out = *f;

		if (v.drop) {
			wire_queue_put(flow->cfg.queue, f);
			c->dropped++;
			continue;
		}
		whole_cnt += damage(flow, &out, &v, &doubtful);
		copy_out(flow, id->lane, &out, &v, now_ns);
	}
	c->vanished += whole_cnt == 0;
	c->surplus += whole_cnt > 1 ? whole_cnt - 1 : 0;
	c->doubtful += doubtful;
}

/* is_silent: the silence begins with the data frame after silence_after. */
static bool is_silent(struct wire_path *path, __u64 now_ns)
{
	if (!path->silence_ns || path->data_cnt <= path->silence_after)
		return false;
	if (!path->silent_until_ns)
		path->silent_until_ns = now_ns + path->silence_ns;
	return now_ns < path->silent_until_ns;
}

static bool is_eaten(const struct wire_path *path, enum wire_class class,
		     __u32 sz)
{
	return class != WIRE_OTHER && path->eat_above && sz > path->eat_above &&
	       path->data_cnt >= path->eat_after;
}

static void frame_in(struct wire_flow *flow, const struct wire_frame *f,
		     __u64 now_ns)
{
	struct wire_path *path = flow->cfg.path;
	struct wire_queue *q = flow->cfg.queue;
	struct wire_counts *c = &flow->counts;
	enum wire_class class;
	struct wire_id id;
	bool silenced, eaten;

	c->in++;
	c->in_bytes += f->sz;
	class = wire_classify(wire_queue_data(q, f), f->descs[0].len,
			      path->port, &id);
	eaten = is_eaten(path, class, f->sz);
	path->data_cnt += class == WIRE_DATA && flow->cfg.from == 0;
	silenced = is_silent(path, now_ns);
	c->data_in += class == WIRE_DATA;
	c->probes += class == WIRE_PROBE;
	c->others += class == WIRE_OTHER;
	if (silenced || eaten) {
		c->silenced += silenced;
		c->eaten += !silenced;
		c->vanished += class == WIRE_DATA;
		wire_queue_put(q, f);
	} else if (class == WIRE_DATA) {
		data_in(flow, &id, f, now_ns);
	} else {
		frame_out(flow, f);
	}
}

/* held_out sends the held frames that are due, as far as there is space. */
static bool held_out(struct wire_flow *flow, __u64 now_ns)
{
	struct wire_frame *f;
	bool moved = false;

	while (wire_queue_room(flow->cfg.queue, !flow->cfg.from) > 0) {
		f = wire_hold_take(&flow->hold, now_ns);
		if (!f)
			break;
		frame_out(flow, f);
		flow->free[flow->free_cnt++] = f;
		moved = true;
	}
	return moved;
}

/* batch_in reads what arrived, as far as there is room for two copies of each
 * frame.  The rest waits on the RX ring, which has room for all that can
 * arrive.  Returns how many, or -errno. */
static int batch_in(struct wire_flow *flow, __u64 now_ns)
{
	struct wire_queue *q = flow->cfg.queue;
	struct wire_frame frames[BATCH];
	unsigned cnt, room = wire_queue_room(q, !flow->cfg.from) / 2;
	int err;

	if (!room)
		return 0;
	cnt = wire_queue_recv(q, flow->cfg.from, frames,
			      room < BATCH ? room : BATCH);
	for (unsigned i = 0; i < cnt; i++) {
		/* Held frames go out between arrivals, or the count of those
		 * that overtake one would be the batch's.  They may use the
		 * space that was checked above. */
		while (wire_queue_room(q, !flow->cfg.from) < 2) {
			err = wire_queue_work(q, !flow->cfg.from);
			if (err < 0)
				return err;
		}
		frame_in(flow, &frames[i], now_ns);
		held_out(flow, now_ns);
		if (i % WORK_EVERY == WORK_EVERY - 1) {
			err = wire_queue_work(q, !flow->cfg.from);
			if (err < 0)
				return err;
		}
	}
	return cnt;
}

int wire_flow_turn(struct wire_flow *flow, __u64 now_ns, __u64 *next_ns)
{
	bool moved = held_out(flow, now_ns);
	int cnt, waiting;

	cnt = batch_in(flow, now_ns);
	if (cnt < 0)
		return cnt;
	waiting = wire_queue_work(flow->cfg.queue, !flow->cfg.from);
	if (waiting < 0)
		return waiting;
	*next_ns = wire_hold_deadline_ns(&flow->hold);
	if (waiting && now_ns + TX_PAUSE_NS < *next_ns)
		*next_ns = now_ns + TX_PAUSE_NS;
	if (cnt || moved)
		*next_ns = 0;
	return 0;
}

struct wire_counts wire_flow_counts(const struct wire_flow *flow)
{
	struct wire_counts counts = flow->counts;

	counts.lost += wire_queue_tx_lost(flow->cfg.queue, !flow->cfg.from) +
		       flow->hold.held_cnt;
	return counts;
}
