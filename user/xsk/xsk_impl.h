/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* xsk_impl: the internals that xsk.c, xsk_rx.c and xsk_tx.c share. */
#ifndef XSK_XSK_IMPL_H
#define XSK_XSK_IMPL_H

#include "xsk/xsk.h"
#include_next <xdp/xsk.h>	/* libxdp's: ours has the same name */

#ifndef XDP_USE_SG
#define XDP_USE_SG	(1 << 4)	/* Linux 6.6 */
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD	(1 << 0)	/* Linux 6.6 */
#endif

#define XSK_CHUNKS_MIN	64
#define XSK_CHUNKS_MAX	65536

/* Chunks for arriving frames of a zero-copy socket that only sends: as many as
 * RX rings mostly have. */
#define XSK_PASS_CHUNKS	512

struct pt_xsk {
	struct pt_xsk_cfg cfg;
	struct pt_xsk_info info;
	struct xsk_socket *socket;
	struct xsk_umem *umem;
	struct pt_umem memory;	/* RX chunks, then TX buffers */
	__u8	*base;		/* of it */
	__u32	fill_cnt;	/* RX chunks in the fill ring at the start */

	/* RX: of the receiving thread */
	struct xsk_ring_cons rx __attribute__((aligned(64)));
	struct xsk_ring_prod fill;
	struct pt_rx_frame partial;	/* a frame without its end */
	int	rx_error;	/* -errno once the device is gone */
	bool	skipping;	/* the rest of a frame that has too many */
	__u64	received;
	__u64	oversized;

	/* TX: of the sending thread */
	struct xsk_ring_prod tx __attribute__((aligned(64)));
	struct xsk_ring_cons comp;
	__u32	tx_ring_cnt;	/* descriptors of the TX ring */
	__u32	tx_buffer_sz;	/* bytes from one TX buffer to the next */
	__u32	tx_free_cnt;	/* entries of tx_free */
	__u32	*tx_free;	/* stack of buffers; the warmest is on top */
	__u8	*tx_pending;	/* [buffer] descriptors not completed */
	__u64	tx_waits_ns;	/* zero copy: since when frames wait; 0: none
				 * do */
	int	tx_epoll;	/* edge-triggered: the kernel has room again */
	__u64	tx_desc_cnt;	/* descriptors submitted */
	__u64	tx_submitted;
	__u64	tx_completed;
	__u64	tx_refused;
};

/* xsk_count adds to a counter that other threads may read. */
static inline void xsk_count(__u64 *counter, __u64 n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline __u64 xsk_tx_base(const struct pt_xsk *x)
{
	return (__u64)x->fill_cnt * PT_XSK_CHUNK_SZ;
}

/* xsk_rx_start gives all RX chunks to the kernel, before the socket is bound. */
void xsk_rx_start(struct pt_xsk *x);

/* xsk_tx_start makes the buffers, before the socket; xsk_tx_bound sets the
 * socket's options, after it.  xsk_tx_stop undoes both, also after a
 * failure. */
int xsk_tx_start(struct pt_xsk *x);
int xsk_tx_bound(struct pt_xsk *x);
void xsk_tx_stop(struct pt_xsk *x);

#endif
