/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/rx_queue_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "base/files.h"
#include "base/thread.h"
#include "rxq/credit.h"

#define TICK_NS		1000000ULL	/* between looks at open gaps */
#define IDLE_MS		100		/* wait if no gap is open */
#define NAP_MIN_NS	50000		/* while frames flow */
#define NAP_MAX_NS	400000		/* well below TICK_NS, and below the
					 * time to use up a window */
#define NAPPING_NS	2000000ULL	/* since the last frame */
#define AHEAD_SZ	1536		/* a frame at MTU 1500 */
#define LINE_SZ		64		/* of the cache */

/* tell sends the due ACKs.  An ACK that cannot be queued now is sent later. */
static void tell(struct pt_rx_queue *q, bool tick)
{
	struct pt_message m;

	for (__u32 i = 0; i < q->lane_cnt; i++) {
		struct pt_rx_lane *l = q->lanes[i];

		l->is_ahead = atomic_load_explicit(&l->intake->is_ahead,
						   memory_order_relaxed);
		if (!(tick ? pt_rx_lane_has_news(l) : pt_rx_lane_is_urgent(l)))
			continue;
		if (!tick)	/* as a tick would: numbers taken in order */
			pt_seqmap_advance(&l->seqs);
		pt_rx_lane_ack(l, &m);
		if (!pt_conn_send(l->intake->conn, &m, NULL))
			pt_rx_lane_told(l);
	}
}

/* has_demand: the lane brought a frame recently, or waits for storage. */
static bool has_demand(const struct pt_rx_queue *q, const struct pt_rx_lane *l,
		       __u64 now_ns)
{
	return l->is_waiting || now_ns < l->wanted_ns ||
	       now_ns - l->wanted_ns < q->cfg.idle_ns;
}

/* share_of: where a guest waits for pages, few frames are to be ahead of one; a lane on a
 * long path gets more by its stretch. */
static __u32 share_of(const struct pt_rx_lane *l, __u32 busy)
{
	__u32 few = busy / PT_CREDIT_FEW;

	if (!atomic_load_explicit(&l->intake->is_waited_for, memory_order_relaxed))
		return busy;
	return few > PT_CREDIT_FLOOR ? few : PT_CREDIT_FLOOR;
}

/* share divides the queue's credit by demand, as of now_ns. */
static void share(struct pt_rx_queue *q, __u64 now_ns)
{
	struct pt_windows w;
	__u32 busy_cnt = 0;

	for (__u32 i = 0; i < q->lane_cnt; i++)
		busy_cnt += has_demand(q, q->lanes[i], now_ns);
	w = pt_credit_share(q->cfg.credit, q->lane_cnt - busy_cnt, busy_cnt);
	q->share = w.busy;
	for (__u32 i = 0; i < q->lane_cnt; i++) {
		struct pt_rx_lane *l = q->lanes[i];

		if (has_demand(q, l, now_ns)) {
			l->share = share_of(l, w.busy);
		} else {
			l->share = w.idle;
			memset(&l->stretch, 0, sizeof(l->stretch));
		}
		l->window = pt_stretch_window(&l->stretch, l->share);
	}
	q->shared_ns = now_ns;
}

/* fill_of returns how full the ring is for a lane.  A lane whose frames wait
 * for storage must hold no more chunks than its share allows. */
static enum pt_fill fill_of(const struct pt_rx_lane *l, enum pt_fill ring)
{
	return l->waiting_desc >= l->share / 2 ? PT_FILL_FULL : ring;
}

/* stretch decides which lanes' windows may exceed their shares. */
static void stretch(struct pt_rx_queue *q, __u64 now_ns)
{
	enum pt_fill ring = pt_stretch_fill(q->fill_cnt, q->cfg.credit,
					    q->cfg.ring_cnt, PT_RX_BATCH);

	for (__u32 i = 0; i < q->lane_cnt; i++) {
		struct pt_rx_lane *l = q->lanes[i];
		const struct pt_stretch_look look = {
			.now_ns = now_ns,
			.rtt_ns = atomic_load_explicit(&l->intake->rtt_ns,
						       memory_order_relaxed),
			.came_desc = l->freed_desc,
			.share = l->share,
			.fill = fill_of(l, ring),
		};

		pt_stretch_take(&l->stretch, &look);
	}
	q->fill_cnt = 0;
}

/* share_again divides the credit again from time to time, so that a new lane
 * gets its share within a tick.  The next ACK tells the lanes. */
static void share_again(struct pt_rx_queue *q, __u64 now_ns)
{
	if (now_ns - q->shared_ns < TICK_NS)
		return;
	stretch(q, now_ns);
	share(q, now_ns);
}

/* note_fill notes the descriptors that wait in the ring, or for storage. */
static void note_fill(struct pt_rx_queue *q)
{
	__u32 cnt = pt_xsk_rx_fill(q->cfg.xsk) + q->depot.chunk_cnt;

	if (cnt > q->fill_cnt)
		q->fill_cnt = cnt;
}

/* has_gone_round: all frames in the ring at round_ns are taken, since it was
 * empty once, or as many were taken as it holds.  A slow sink, or a flood of
 * frames that XDP cannot distinguish from ours, may keep it full forever. */
static bool has_gone_round(struct pt_rx_queue *q, unsigned taken_cnt,
			   __u64 now_ns)
{
	if (taken_cnt < PT_RX_BATCH)
		q->round_ns = now_ns;
	return taken_cnt < PT_RX_BATCH || q->round_desc_cnt >= q->cfg.ring_cnt;
}

/* tick looks for missing frames as of round_ns, since a frame that waits in the
 * ring is not lost. */
static void tick(struct pt_rx_queue *q, __u64 now_ns)
{
	__u64 seen_ns = q->round_ns;

	q->round_ns = now_ns;
	q->round_desc_cnt = 0;
	if (now_ns - q->ticked_ns < TICK_NS) {
		tell(q, false);
		return;
	}
	q->ticked_ns = now_ns;
	for (__u32 i = 0; i < q->lane_cnt; i++)
		pt_rx_lane_tick_at(q->lanes[i], seen_ns, now_ns,
				   atomic_load_explicit(
					&q->lanes[i]->intake->reorder_min_ns,
					memory_order_relaxed));
	tell(q, true);
}

static bool is_open(const struct pt_rx_queue *q)
{
	for (__u32 i = 0; i < q->lane_cnt; i++)
		if (pt_rx_lane_is_open(q->lanes[i]) ||
		    pt_rx_lane_has_news(q->lanes[i]))
			return true;
	return false;
}

/* nap_fit chooses the next nap so that a sixteenth to an eighth of a lane's
 * credit arrives meanwhile: a lane that is the only active one among many must
 * not wait for us. */
static void nap_fit(struct pt_rx_queue *q)
{
	if (q->nap_desc_cnt < q->share / 16 && q->nap_ns < NAP_MAX_NS)
		q->nap_ns *= 2;
	else if (q->nap_desc_cnt > q->share / 8 && q->nap_ns > NAP_MIN_NS)
		q->nap_ns /= 2;
	q->nap_desc_cnt = 0;
}

/* rest sleeps, after the ring was empty at now_ns.  A wake-up by a frame costs
 * an interrupt of this CPU, and finds one frame.  So while frames flow the
 * thread wakes by itself and finds several, which make longer runs to write. */
static void rest(struct pt_rx_queue *q, __u64 now_ns, bool open)
{
	const struct timespec nap = { .tv_nsec = q->nap_ns };
	eventfd_t value;

	pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_IDLE);
	if (now_ns - q->taken_ns < NAPPING_NS) {
		nanosleep(&nap, NULL);
		return;
	}
	q->nap_ns = NAP_MIN_NS;
	if (pt_depot_sleep(&q->depot))
		pt_xsk_wait(q->cfg.xsk, open ? 1 : IDLE_MS, q->event_fd);
	pt_depot_wake(&q->depot);
	eventfd_read(q->event_fd, &value);
}

/* take_back gives all chunks of frames that were placed meanwhile to the
 * socket, since the next ACK reports their credit. */
static void take_back(struct pt_rx_queue *q)
{
	__u32 cnt;

	for (__u32 i = 0; i < q->lane_cnt; i++)
		pt_rx_lane_look(q->lanes[i]);
	while ((cnt = pt_depot_collect(&q->depot, q->frames, PT_RX_BATCH)))
		pt_xsk_recycle(q->cfg.xsk, q->frames, cnt);
}

/* ahead loads a frame's first bytes into the cache while the frame before it is
 * processed, since another CPU wrote them. */
static void ahead(const struct pt_rx_frame *frame)
{
	const struct pt_span *span = &frame->spans[0];
	__u32 sz = span->sz < AHEAD_SZ ? span->sz : AHEAD_SZ;

	for (__u32 off = 0; off < sz; off += LINE_SZ)
		__builtin_prefetch((const __u8 *)span->base + off);
}

static void *queue_main(void *arg)
{
	struct pt_rx_queue *q = arg;

	/* Without timer slack naps end in time, not up to 50 us later. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	q->nap_ns = NAP_MIN_NS;
	pt_cpus_pin(q->cfg.cpus, q->cfg.thread_idx);
	pt_stage_start(q->cfg.clock, PT_RECEIVE_STAGE_IDLE);
	while (!atomic_load_explicit(&q->stop, memory_order_relaxed)) {
		__u64 now_ns = pt_clock_ns();
		unsigned cnt;
		bool open;

		pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_POLL);
		note_fill(q);
		cnt = pt_xsk_recv(q->cfg.xsk, q->frames, PT_RX_BATCH);
		pt_rx_queue_lock(q);
		q->looked_ns = now_ns;
		for (unsigned i = 0; i < cnt; i++) {
			if (i + 1 < cnt)
				ahead(&q->frames[i + 1]);
			pt_rx_take_frame(q, &q->frames[i]);
		}
		pt_rx_hand_over(q);
		pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_POLL);
		if (cnt)
			pt_xsk_recycle(q->cfg.xsk, q->frames, cnt);
		take_back(q);
		pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_ACK);
		share_again(q, now_ns);
		if (has_gone_round(q, cnt, now_ns))
			tick(q, now_ns);
		else
			tell(q, false);
		open = is_open(q);
		if (!cnt)
			nap_fit(q);
		pt_rx_queue_unlock(q);

		if (cnt)
			q->taken_ns = now_ns;
		else
			rest(q, now_ns, open);
	}
	return NULL;
}

int pt_rx_queue_start(struct pt_rx_queue **out,
		      const struct pt_rx_queue_cfg *cfg, struct pt_error *err)
{
	struct pt_rx_queue *q = calloc(1, sizeof(*q));
	int ret;

	if (!q)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "queue %u: out of memory", cfg->queue);
	q->cfg = *cfg;
	pthread_mutex_init(&q->turn, NULL);
	pthread_mutex_init(&q->lock, NULL);
	q->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->event_fd < 0) {
		ret = pt_error_set(err, PT_EXIT_HOST, -errno,
				   "queue %u: eventfd: %m%s", cfg->queue,
				   pt_files_remedy(-errno));
		goto free_queue;
	}
	ret = pt_depot_init(&q->depot, cfg->ring_cnt, q->event_fd);
	if (ret) {
		pt_error_set(err, PT_EXIT_HOST, ret, "queue %u: out of memory",
			     cfg->queue);
		goto close_event;
	}
	ret = pt_thread_start(&q->thread, queue_main, q, "pt-queue-%u",
			      cfg->queue);
	if (ret) {
		pt_error_set(err, PT_EXIT_HOST, ret,
			     "queue %u: cannot start a thread: %s "
			     "(memory, ulimit -u or pids.max)",
			     cfg->queue, strerror(-ret));
		goto free_depot;
	}
	*out = q;
	return 0;

free_depot:
	pt_depot_free(&q->depot);
close_event:
	close(q->event_fd);
free_queue:
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->turn);
	free(q);
	return ret;
}

void pt_rx_queue_stop(struct pt_rx_queue *q)
{
	if (!q || q->is_stopped)
		return;
	atomic_store(&q->stop, true);
	pt_rx_queue_wake(q);
	pthread_join(q->thread, NULL);
	q->is_stopped = true;
}

void pt_rx_queue_free(struct pt_rx_queue *q)
{
	if (!q)
		return;
	pt_rx_queue_stop(q);
	pt_depot_free(&q->depot);
	close(q->event_fd);
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->turn);
	free(q);
}

/* The queue's thread takes the lock again as soon as it has released it, and a
 * mutex does not queue waiters: without a turn a waiter would wait forever
 * while frames come. */
void pt_rx_queue_lock(struct pt_rx_queue *q)
{
	pthread_mutex_lock(&q->turn);
	pthread_mutex_lock(&q->lock);
	pthread_mutex_unlock(&q->turn);
}

void pt_rx_queue_unlock(struct pt_rx_queue *q)
{
	pthread_mutex_unlock(&q->lock);
}

__u16 pt_rx_queue_number(const struct pt_rx_queue *q)
{
	return q->cfg.queue;
}

void pt_rx_queue_wake(struct pt_rx_queue *q)
{
	eventfd_write(q->event_fd, 1);
}

int pt_rx_queue_session_add(struct pt_rx_queue *q, struct pt_intake *intake)
{
	if (q->session_cnt == PT_TRANSFERS_MAX)
		return -ENOSPC;
	q->sessions[q->session_cnt++] = intake;
	return 0;
}

void pt_rx_queue_session_remove(struct pt_rx_queue *q,
				struct pt_intake *intake)
{
	for (__u32 i = 0; i < q->session_cnt; i++) {
		if (q->sessions[i] != intake)
			continue;
		q->sessions[i] = q->sessions[--q->session_cnt];
		return;
	}
}

/* share_at_once: a lane that had more must learn that before another gets its
 * share.  The reserve of the fill ring absorbs their frames in flight. */
static void share_at_once(struct pt_rx_queue *q)
{
	share(q, pt_clock_ns());
	tell(q, true);
}

int pt_rx_queue_lane_add(struct pt_rx_queue *q, struct pt_rx_lane *lane)
{
	if (q->lane_cnt == PT_QUEUE_LANES_MAX)
		return -ENOSPC;
	q->lanes[q->lane_cnt++] = lane;
	lane->queue = q->cfg.queue;
	/* Once only, for a peer that sets a lane repeatedly and sends
	 * nothing. */
	if (!lane->wanted_ns)
		lane->wanted_ns = pt_clock_ns();
	/* All lanes must learn the ring's capacity again. */
	for (__u32 i = 0; i < q->lane_cnt; i++)
		memset(&q->lanes[i]->stretch, 0, sizeof(lane->stretch));
	share_at_once(q);
	return 0;
}

void pt_rx_queue_lane_remove(struct pt_rx_queue *q, struct pt_rx_lane *lane)
{
	for (__u32 i = 0; i < q->lane_cnt; i++) {
		if (q->lanes[i] != lane)
			continue;
		q->lanes[i] = q->lanes[--q->lane_cnt];
		q->last = NULL;
		lane->queue = PT_QUEUE_ANY;
		share_at_once(q);
		return;
	}
}

__u64 pt_rx_queue_received(const struct pt_rx_queue *q)
{
	return q->received;
}
