/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xsk/xsk_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include <pagetrim/wire.h>

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9		/* Linux 6.17 */
#endif
#define TX_BUDGET	128	/* descriptors the kernel takes in one call */
#define KICKS_MAX	64	/* calls of one kick that each make progress */
#define WAIT_SLICE_MS	2	/* room may come without an event */

int xsk_tx_start(struct pt_xsk *x)
{
	__u32 chunks, cnt;

	if (!x->cfg.tx_chunk_cnt)
		return 0;
	chunks = (x->cfg.tx_frame_sz_max + PT_XSK_CHUNK_SZ - 1) /
		 PT_XSK_CHUNK_SZ;
	cnt = x->cfg.tx_chunk_cnt / chunks;
	x->tx_buffer_sz = chunks * PT_XSK_CHUNK_SZ;
	/* Twice the frames in flight, so that there is always room to
	 * submit. */
	x->tx_ring_cnt = 2;
	while (x->tx_ring_cnt < 2 * x->cfg.tx_chunk_cnt)
		x->tx_ring_cnt *= 2;
	x->info.tx_frame_sz_max = x->cfg.tx_frame_sz_max;
	x->info.tx_frame_cnt = cnt;
	x->tx_free = calloc(cnt, sizeof(*x->tx_free));
	x->tx_pending = calloc(cnt, sizeof(*x->tx_pending));
	if (!x->tx_free || !x->tx_pending) {
		xsk_tx_stop(x);
		return -ENOMEM;
	}
	while (x->tx_free_cnt < cnt) {
		x->tx_free[x->tx_free_cnt] = cnt - 1 - x->tx_free_cnt;
		x->tx_free_cnt++;
	}
	return 0;
}

int xsk_tx_bound(struct pt_xsk *x)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	__u32 budget = TX_BUDGET;

	if (!x->cfg.tx_chunk_cnt)
		return 0;
	/* An older kernel takes 32 per call, and is called again. */
	setsockopt(pt_xsk_fd(x), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget,
		   sizeof(budget));
	x->tx_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (x->tx_epoll < 0 ||
	    epoll_ctl(x->tx_epoll, EPOLL_CTL_ADD, pt_xsk_fd(x), &event))
		return -errno;
	return 0;
}

void xsk_tx_stop(struct pt_xsk *x)
{
	if (x->tx_epoll >= 0)
		close(x->tx_epoll);
	free(x->tx_free);
	free(x->tx_pending);
	x->tx_epoll = -1;
	x->tx_free = NULL;
	x->tx_free_cnt = 0;
	x->tx_pending = NULL;
}

static __u32 buffer_idx(const struct pt_xsk *x, const void *buffer)
{
	__u64 off = (const __u8 *)buffer - x->base - xsk_tx_base(x);

	pt_check(off % x->tx_buffer_sz == 0);
	pt_check(off / x->tx_buffer_sz < x->info.tx_frame_cnt);
	return off / x->tx_buffer_sz;
}

static void give(struct pt_xsk *x, __u32 idx)
{
	pt_check(x->tx_free_cnt < x->info.tx_frame_cnt);
	x->tx_free[x->tx_free_cnt++] = idx;
}

void *pt_xsk_tx_frame(struct pt_xsk *x)
{
	if (!x->tx_free_cnt && !pt_xsk_tx_reap(x))
		return NULL;
	return x->base + xsk_tx_base(x) +
	       (__u64)x->tx_free[--x->tx_free_cnt] * x->tx_buffer_sz;
}

void pt_xsk_tx_give_back(struct pt_xsk *x, void *buffer)
{
	give(x, buffer_idx(x, buffer));
}

void pt_xsk_tx_submit(struct pt_xsk *x, void *buffer, __u32 sz)
{
	__u32 cnt = (sz + PT_XSK_CHUNK_SZ - 1) / PT_XSK_CHUNK_SZ, idx;
	__u64 addr = (__u8 *)buffer - x->base;

	pt_check(sz >= PT_ETH_SZ && sz <= x->cfg.tx_frame_sz_max);
	x->tx_pending[buffer_idx(x, buffer)] = cnt;
	pt_check(xsk_ring_prod__reserve(&x->tx, cnt, &idx) == cnt);
	for (__u32 i = 0; i < cnt; i++) {
		struct xdp_desc *desc = xsk_ring_prod__tx_desc(&x->tx, idx + i);
		bool last = i + 1 == cnt;

		desc->addr = addr + (__u64)i * PT_XSK_CHUNK_SZ;
		desc->len = last ? sz - i * PT_XSK_CHUNK_SZ : PT_XSK_CHUNK_SZ;
		desc->options = last ? 0 : XDP_PKT_CONTD;
	}
	xsk_ring_prod__submit(&x->tx, cnt);
	x->tx_desc_cnt += cnt;
	xsk_count(&x->tx_submitted, 1);
}

__u32 pt_xsk_tx_reap(struct pt_xsk *x)
{
	__u32 idx, frames = 0;
	__u32 cnt = xsk_ring_cons__peek(&x->comp, x->cfg.tx_chunk_cnt, &idx);

	for (__u32 i = 0; i < cnt; i++) {
		__u64 off = *xsk_ring_cons__comp_addr(&x->comp, idx + i) -
			    xsk_tx_base(x);
		__u32 buffer = off / x->tx_buffer_sz;

		pt_check(buffer < x->info.tx_frame_cnt);
		pt_check(x->tx_pending[buffer] > 0);
		if (--x->tx_pending[buffer])
			continue;
		give(x, buffer);
		frames++;
	}
	if (cnt)
		xsk_ring_cons__release(&x->comp, cnt);
	xsk_count(&x->tx_completed, frames);
	if (frames)
		x->tx_waits_ns = 0;
	return frames;
}

bool pt_xsk_tx_is_idle(struct pt_xsk *x)
{
	pt_xsk_tx_reap(x);
	return x->tx_free_cnt == x->info.tx_frame_cnt;
}

/* is_deaf: the driver of a socket that only sends waits for a wake-up to look
 * for chunks again. */
static bool is_deaf(const struct pt_xsk *x)
{
	return !x->cfg.rx_chunk_cnt && xsk_ring_prod__needs_wakeup(&x->fill);
}

bool pt_xsk_tx_waits(struct pt_xsk *x)
{
	return x->cfg.zero_copy && (!pt_xsk_tx_is_idle(x) || is_deaf(x));
}

/* queued_cnt: descriptors that the kernel did not take yet. */
static __u32 queued_cnt(struct pt_xsk *x)
{
	return x->tx_ring_cnt - xsk_prod_nb_free(&x->tx, x->tx_ring_cnt);
}

__u64 pt_xsk_tx_mark(const struct pt_xsk *x)
{
	return x->tx_desc_cnt;
}

bool pt_xsk_tx_is_taken(struct pt_xsk *x, __u64 mark)
{
	return mark + queued_cnt(x) <= x->tx_desc_cnt;
}

bool pt_xsk_tx_has_buffer(struct pt_xsk *x)
{
	return x->tx_free_cnt || pt_xsk_tx_reap(x);
}

static int kick(struct pt_xsk *x)
{
	__u32 before, after = queued_cnt(x);

	for (int i = 0; i < KICKS_MAX; i++) {
		if (!after || !xsk_ring_prod__needs_wakeup(&x->tx))
			return 0;
		before = after;
		if (sendto(pt_xsk_fd(x), NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return 0;
		switch (errno) {
		case EBUSY:	/* one frame dropped by the device */
			after = queued_cnt(x);
			xsk_count(&x->tx_refused, after != before);
			break;
		case EAGAIN:	/* budget, socket buffer or driver full */
		case ENOBUFS:
		case ENOMEM:
		case EINTR:
			after = queued_cnt(x);
			break;
		default:
			return -errno;
		}
		if (after == before)
			return 1;
	}
	return 1;
}

/* tell makes the driver look at the TX ring. */
static int tell(struct pt_xsk *x)
{
	if (sendto(pt_xsk_fd(x), NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
		return 0;
	switch (errno) {
	case EBUSY:
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
	case EINTR:
		return 0;
	default:
		return -errno;
	}
}

/* kick_zero_copy: a driver takes frames in its own time, and may stop with
 * frames left while its flag still claims that it polls the ring. */
static int kick_zero_copy(struct pt_xsk *x)
{
	struct pollfd fd = { .fd = pt_xsk_fd(x) };
	__u64 now_ns;
	int ret = 0;

	if (is_deaf(x))
		poll(&fd, 1, 0);	/* recvfrom needs an RX ring */
	if (x->tx_submitted == x->tx_completed)
		return 0;
	now_ns = pt_clock_ns();
	if (!x->tx_waits_ns)
		x->tx_waits_ns = now_ns;
	if (xsk_ring_prod__needs_wakeup(&x->tx) ||
	    now_ns - x->tx_waits_ns >= PT_XSK_STALE_NS) {
		if (now_ns - x->tx_waits_ns >= PT_XSK_STALE_NS)
			x->tx_waits_ns = now_ns;
		ret = tell(x);
	}
	return ret ? ret : queued_cnt(x) > 0;
}

int pt_xsk_tx_kick(struct pt_xsk *x)
{
	int ret = x->cfg.zero_copy ? kick_zero_copy(x) : kick(x);

	/* Buffers that were copied out by now are used again first, while they
	 * are in the cache; the bottom of the stack is cold. */
	pt_xsk_tx_reap(x);
	return ret;
}

int pt_xsk_tx_wait(struct pt_xsk *x, int timeout_ms)
{
	const __u64 deadline = pt_deadline_ns(timeout_ms);
	struct epoll_event event;
	int ret, left_ms;

	for (;;) {
		ret = pt_xsk_tx_kick(x);
		pt_xsk_tx_reap(x);
		if (ret < 0)
			return ret;
		if (!ret && x->tx_free_cnt)
			return 1;
		left_ms = pt_left_ms(deadline);
		if (!left_ms)
			return 0;
		/* Not poll(2): it reports a TX ring under half full as
		 * writable, and returns at once even if the socket buffer is
		 * full.  The edge comes when frames in flight were freed. */
		epoll_wait(x->tx_epoll, &event, 1,
			   left_ms < WAIT_SLICE_MS ? left_ms : WAIT_SLICE_MS);
	}
}
