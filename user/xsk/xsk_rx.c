/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xsk/xsk_impl.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <pagetrim/check.h>

#define CHUNK_MASK (~(__u64)(PT_XSK_CHUNK_SZ - 1))

void xsk_rx_start(struct pt_xsk *x)
{
	__u32 cnt = x->fill_cnt, idx;

	if (!cnt)
		return;
	pt_check(xsk_ring_prod__reserve(&x->fill, cnt, &idx) == cnt);
	for (__u32 i = 0; i < cnt; i++)
		*xsk_ring_prod__fill_addr(&x->fill, idx + i) =
			(__u64)i * PT_XSK_CHUNK_SZ;
	xsk_ring_prod__submit(&x->fill, cnt);
}

static void refill_one(struct pt_xsk *x, __u64 addr)
{
	__u32 idx;

	pt_check(xsk_ring_prod__reserve(&x->fill, 1, &idx) == 1);
	*xsk_ring_prod__fill_addr(&x->fill, idx) = addr & CHUNK_MASK;
	xsk_ring_prod__submit(&x->fill, 1);
}

/* skip drops a descriptor of a frame that has too many; returns whether it was
 * the last. */
static bool skip(struct pt_xsk *x, const struct xdp_desc *desc)
{
	refill_one(x, desc->addr);
	if (desc->options & XDP_PKT_CONTD)
		return false;
	xsk_count(&x->oversized, 1);
	x->skipping = false;
	return true;
}

/* append adds a descriptor to the frame; returns whether it was the last. */
static bool append(struct pt_xsk *x, struct pt_rx_frame *frame,
		   const struct xdp_desc *desc)
{
	struct pt_span *span = &frame->spans[frame->span_cnt++];

	span->base = x->base + desc->addr;
	span->sz = desc->len;
	frame->sz += desc->len;
	return !(desc->options & XDP_PKT_CONTD);
}

static void begin(struct pt_rx_frame *frame)
{
	frame->span_cnt = 0;
	frame->sz = 0;
}

__u32 pt_xsk_recv(struct pt_xsk *x, struct pt_rx_frame *frames, __u32 max)
{
	struct pt_rx_frame *frame = frames;
	__u32 cnt = 0, used = 0, idx, avail;

	pt_check(max >= 1 && max <= PT_XSK_BATCH_MAX);
	avail = xsk_ring_cons__peek(&x->rx, x->cfg.rx_chunk_cnt, &idx);
	if (!avail)
		return 0;
	if (x->partial.span_cnt)
		*frame = x->partial;
	else
		begin(frame);
	while (used < avail && cnt < max) {
		const struct xdp_desc *desc =
			xsk_ring_cons__rx_desc(&x->rx, idx + used++);

		if (x->skipping) {
			skip(x, desc);
			continue;
		}
		if (frame->span_cnt == PT_SPANS_MAX) {
			pt_xsk_recycle(x, frame, 1);
			begin(frame);
			x->skipping = true;
			skip(x, desc);
			continue;
		}
		if (!append(x, frame, desc))
			continue;
		if (++cnt < max)
			begin(++frame);
	}
	/* The kernel publishes whole frames; zero-copy drivers need not. */
	if (cnt < max && frame->span_cnt)
		x->partial = *frame;
	else
		x->partial.span_cnt = 0;
	xsk_ring_cons__cancel(&x->rx, avail - used);
	xsk_ring_cons__release(&x->rx, used);
	xsk_count(&x->received, cnt);
	return cnt;
}

__u32 pt_xsk_rx_fill(const struct pt_xsk *x)
{
	return __atomic_load_n(x->rx.producer, __ATOMIC_RELAXED) -
	       x->rx.cached_cons;
}

void pt_xsk_recycle(struct pt_xsk *x, const struct pt_rx_frame *frames,
		    __u32 cnt)
{
	__u32 desc_cnt = 0, idx;

	for (__u32 i = 0; i < cnt; i++)
		desc_cnt += frames[i].span_cnt;
	if (!desc_cnt)
		return;
	pt_check(xsk_ring_prod__reserve(&x->fill, desc_cnt, &idx) == desc_cnt);
	for (__u32 i = 0; i < cnt; i++) {
		for (__u32 s = 0; s < frames[i].span_cnt; s++) {
			const __u8 *base = frames[i].spans[s].base;

			*xsk_ring_prod__fill_addr(&x->fill, idx++) =
				(__u64)(base - x->base) & CHUNK_MASK;
		}
	}
	xsk_ring_prod__submit(&x->fill, desc_cnt);
	if (xsk_ring_prod__needs_wakeup(&x->fill))
		recvfrom(pt_xsk_fd(x), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* socket_error: a socket whose device was removed polls as idle.  Reading the
 * error clears it. */
static int socket_error(const struct pt_xsk *x)
{
	int error = 0;
	socklen_t sz = sizeof(error);

	if (getsockopt(pt_xsk_fd(x), SOL_SOCKET, SO_ERROR, &error, &sz))
		return -errno;
	return -error;
}

int pt_xsk_error(const struct pt_xsk *x)
{
	return __atomic_load_n(&x->rx_error, __ATOMIC_RELAXED);
}

int pt_xsk_wait(struct pt_xsk *x, int timeout_ms, int extra_fd)
{
	struct pollfd fds[2] = {
		{ .fd = pt_xsk_fd(x), .events = POLLIN },
		{ .fd = extra_fd, .events = POLLIN },
	};
	int ret = poll(fds, 2, timeout_ms);

	if (ret < 0)
		return errno == EINTR ? 0 : -errno;
	if (!(fds[0].revents & POLLIN)) {
		if (!pt_xsk_error(x))
			__atomic_store_n(&x->rx_error, socket_error(x),
					 __ATOMIC_RELAXED);
		if (pt_xsk_error(x))
			return pt_xsk_error(x);
	}
	return (fds[0].revents & POLLIN ? 1 : 0) | (fds[1].revents ? 2 : 0);
}
