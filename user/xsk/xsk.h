/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room xsk: frames to and from a NIC queue.
 *
 *   knows         AF_XDP sockets and their rings, UMEM, zero copy and its pass
 *                 program, the carrier
 *   may use       base net xdp
 *   must not know what a frame holds, who sends it
 */
/* xsk: one AF_XDP socket on one queue, and its memory (UMEM).
 *
 * Shape: one mapping of 4096-byte chunks.  The first rx_chunk_cnt are for
 * receiving, one a descriptor; the rest are TX buffers, each as many
 * consecutive chunks as one frame of tx_frame_sz_max bytes takes.  A zero-copy
 * socket has its queue's RX side, too, whether it receives or not: one that only
 * sends has chunks for what arrives there, which go round in the kernel.
 *
 * Ownership: an RX chunk is the kernel's (fill ring) until pt_xsk_recv hands
 * it out in a frame, and the caller's until pt_xsk_recycle.  A TX buffer is
 * the caller's from pt_xsk_tx_frame to pt_xsk_tx_submit, then the kernel's
 * until pt_xsk_tx_reap finds it completed.  Completed is not delivered.
 *
 * Threads: no locks.  The RX functions by one thread, the TX functions by one
 * thread; it may be another.  pt_xsk_stats by any.
 */
#ifndef PT_XDP_XSK_H
#define PT_XDP_XSK_H

#include <linux/types.h>
#include <stdbool.h>
#include <pagetrim/error.h>
#include <pagetrim/span.h>
#include "xdp/device.h"
#include "xsk/umem.h"

#define PT_XSK_CHUNK_SZ		4096	/* bytes; the kernel takes no larger */
#define PT_XSK_BATCH_MAX	64	/* frames of one pt_xsk_recv */
#define PT_XSK_STALE_NS		10000000ULL /* zero copy: frames that wait for
					 * longer are kicked again */

struct pt_xsk;

struct pt_xsk_cfg {
	const struct pt_device *device;
	__u32	queue;
	__u32	rx_chunk_cnt;	/* a power of two, 64..65536; 0: no receiving */
	__u32	tx_chunk_cnt;	/* 64..65536; 0: no sending */
	__u32	tx_frame_sz_max; /* Ethernet bytes of the largest frame sent,
				  * 64..PT_XSK_CHUNK_SZ * PT_SPANS_MAX */
	bool	zero_copy;	/* or -EOPNOTSUPP, or what the driver says; else
				 * frames are copied */
	enum pt_hugepages hugepages;	/* for the chunks */
	int	stop_fd;	/* readable: -ECANCELED in place of a wait; 0 or
				 * below: never */
};

struct pt_xsk_info {
	bool	zero_copy;
	bool	multi_buffer;	/* a frame may take several descriptors */
	__u32	rx_desc_sz;	/* bytes of a frame in one RX descriptor */
	__u32	rx_frame_sz_max; /* Ethernet bytes; longer ones are dropped */
	__u32	tx_frame_sz_max; /* Ethernet bytes */
	__u32	tx_frame_cnt;	/* TX buffers */
	enum pt_hugepages hugepages;	/* what the chunks got */
};

/* pt_xsk_make does what takes a privilege: the chunks, and a socket that is not
 * bound yet.  cfg->queue is for errors only; where cfg->zero_copy is set, the socket
 * can be bound either way.  On success returns 0 and *out is the caller's, to
 * pt_xsk_close.  Else:
 *   -EINVAL  cfg
 *   -EPERM   no CAP_NET_RAW
 *   -ENOMEM, -ENOBUFS  no memory, or over RLIMIT_MEMLOCK */
int pt_xsk_make(struct pt_xsk **out, const struct pt_xsk_cfg *cfg,
		struct pt_error *err);

/* pt_xsk_bind binds a socket that was made to cfg->queue, for zero copy if that is
 * asked for; with several descriptors a frame where frames of the device's MTU or
 * tx_frame_sz_max need it and the kernel has it (6.6), else one.  cfg has the chunks
 * that it was made with.  A queue that another socket held a moment ago is tried again
 * for up to 1 s.  Needs no privilege.  After a failure it can be bound again:
 *   -EBUSY   another socket holds the queue
 *   -EINVAL  no such queue
 *   -EMSGSIZE  tx_frame_sz_max needs several descriptors; the kernel has not
 *   -ECANCELED  stop_fd
 *   -EOPNOTSUPP, -EINVAL, -ENOENT, ...  no zero copy, as the driver says */
int pt_xsk_bind(struct pt_xsk *x, const struct pt_xsk_cfg *cfg,
		struct pt_error *err);

/* pt_xsk_open makes and binds, with the errors of both. */
int pt_xsk_open(struct pt_xsk **out, const struct pt_xsk_cfg *cfg,
		struct pt_error *err);
void pt_xsk_close(struct pt_xsk *x);	/* NULL is fine */

/* pt_xsk_shut closes the socket, so that the queue is free, and leaves the
 * memory to who still reads frames in it; only pt_xsk_close after it.  NULL is
 * fine. */
void pt_xsk_shut(struct pt_xsk *x);

int pt_xsk_fd(const struct pt_xsk *x);	/* for pt_program_socket_set and poll */
void pt_xsk_info(const struct pt_xsk *x, struct pt_xsk_info *info);

/* pt_rx_frame: a received frame, where it lies in the RX chunks. */
struct pt_rx_frame {
	struct pt_span spans[PT_SPANS_MAX];
	__u32	span_cnt;	/* 1..PT_SPANS_MAX */
	__u32	sz;		/* Ethernet bytes, the sum of the spans */
};

/* pt_xsk_recv hands out up to max (1..PT_XSK_BATCH_MAX) frames, returns how
 * many.  No system call. */
__u32 pt_xsk_recv(struct pt_xsk *x, struct pt_rx_frame *frames, __u32 max);

/* pt_xsk_rx_fill: descriptors that wait in the RX ring now.  By the thread that
 * receives. */
__u32 pt_xsk_rx_fill(const struct pt_xsk *x);

/* pt_xsk_recycle gives the chunks of cnt frames back to be filled again.  A
 * system call only when a zero-copy driver asks for it. */
void pt_xsk_recycle(struct pt_xsk *x, const struct pt_rx_frame *frames,
		    __u32 cnt);

/* pt_xsk_wait sleeps until a frame arrived (bit 0 of the result), extra_fd
 * (-1: none) is readable (bit 1), or timeout_ms (-1: never) passed (0); a
 * signal returns 0 too.  -ENETDOWN: the device is gone for good; one that is
 * down for a while is silence. */
int pt_xsk_wait(struct pt_xsk *x, int timeout_ms, int extra_fd);

/* pt_xsk_error: what pt_xsk_wait returned once the device was gone, as long as
 * the socket lasts; else 0.  Any thread. */
int pt_xsk_error(const struct pt_xsk *x);

/* pt_xsk_tx_frame returns a free buffer of tx_frame_sz_max bytes, 4096-byte
 * aligned, or NULL: reap, wait, try again.  Reaps by itself when none is
 * free. */
void *pt_xsk_tx_frame(struct pt_xsk *x);

/* pt_xsk_tx_submit queues the frame of sz (14..tx_frame_sz_max) bytes in
 * buffer; the kernel learns of it by pt_xsk_tx_kick. */
void pt_xsk_tx_submit(struct pt_xsk *x, void *buffer, __u32 sz);

/* pt_xsk_tx_give_back returns a buffer unsent. */
void pt_xsk_tx_give_back(struct pt_xsk *x, void *buffer);

/* pt_xsk_tx_kick has the kernel send what is queued, and reaps, so that the
 * buffers just sent are the next to be filled; best once for some 256 KiB of
 * them, which the cache holds.  Returns 0: it took all; 1: some are still queued
 * (driver or socket buffer full): pt_xsk_tx_wait, then kick again;
 *   -ENETDOWN  the device is down: frames stay queued, a later kick sends them
 *   -ENXIO     the device is gone
 *   -EINVAL    zero copy: the driver wants an XDP program on the device
 * Of a zero-copy socket also: 1: the driver has not come round to all of it; and
 * what waits for longer than PT_XSK_STALE_NS is told again, whether the driver
 * seems to want that or not.
 * A frame that the device refuses is dropped and counted (tx_refused). */
int pt_xsk_tx_kick(struct pt_xsk *x);

/* pt_xsk_tx_reap takes completed buffers back, returns how many frames.  No
 * system call. */
__u32 pt_xsk_tx_reap(struct pt_xsk *x);

/* pt_xsk_tx_is_idle: every frame that was submitted is completed.  Reaps; no
 * system call. */
bool pt_xsk_tx_is_idle(struct pt_xsk *x);

/* pt_xsk_tx_waits: of a zero-copy socket, frames are not completed yet: kick
 * again within PT_XSK_STALE_NS.  False in copy mode. */
bool pt_xsk_tx_waits(struct pt_xsk *x);

/* pt_xsk_tx_wait sleeps until a buffer is free and nothing is queued that the
 * kernel did not take, kicking as needed; at most timeout_ms (0..60000).
 * Returns 1: so it is; 0: time is up; -errno as pt_xsk_tx_kick. */
int pt_xsk_tx_wait(struct pt_xsk *x, int timeout_ms);

/* pt_xsk_tx_prove sends a frame to ourselves, mac, which no switch forwards, and
 * waits for its completion, at most timeout_ms.  Before all other frames.
 *   -ETIMEDOUT  it was not completed;  or -errno, as pt_xsk_tx_kick last said
 *   -ECANCELED  stop_fd (-1: none) is readable */
int pt_xsk_tx_prove(struct pt_xsk *x, const __u8 mac[6], int timeout_ms,
		    int stop_fd);

/* pt_xsk_stats: what became of frames at this socket. */
struct pt_xsk_stats {
	__u64	received;	/* frames handed out by pt_xsk_recv */
	__u64	rx_dropped;	/* frames: no chunk to fill, or too long */
	__u64	rx_ring_full;	/* frames: RX ring full */
	__u64	rx_oversized;	/* frames of over PT_SPANS_MAX descriptors */
	__u64	rx_fill_empty;	/* times the fill ring was found empty: neither
				 * frames nor descriptors, a hint only */
	__u64	tx_submitted;	/* frames */
	__u64	tx_completed;	/* frames, the refused among them */
	__u64	tx_refused;	/* frames dropped by the device on sending */
	__u64	tx_invalid;	/* descriptors refused by the kernel: a bug */
};

/* Every frame that XDP steered to this queue is received or dropped here:
 *
 *     steered == received + rx_dropped + rx_ring_full + rx_oversized
 *
 * once the RX ring is read empty.  All in frames, whatever their descriptors:
 * the kernel drops a frame whole, and counts it in one of the first two.  Only
 * rx_fill_empty means something else: for frames of one descriptor it equals
 * rx_dropped, for larger ones it may stay 0. */
static inline __u64 pt_xsk_dropped(const struct pt_xsk_stats *s)
{
	return s->rx_dropped + s->rx_ring_full + s->rx_oversized;
}

int pt_xsk_stats(const struct pt_xsk *x, struct pt_xsk_stats *stats);

#endif
