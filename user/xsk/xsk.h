/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room xsk: frames to and from a NIC queue.
 *
 *   knows         AF_XDP sockets and their rings, UMEM, zero copy and its pass
 *                 program, the carrier
 *   may use       base net xdp
 *   must not know the content of a frame, its sender
 */
/* xsk: one AF_XDP socket on one queue, and its memory (UMEM).
 *
 * Shape: one mapping of 4096-byte chunks.  The first rx_chunk_cnt are for
 * receiving, one a descriptor; the rest are TX buffers, each as many
 * consecutive chunks as one frame of tx_frame_sz_max bytes takes.  A zero-copy
 * socket also owns its queue's RX side, even if it only sends; it then has
 * chunks for arriving frames, which circulate in the kernel.
 *
 * Ownership: an RX chunk belongs to the kernel (fill ring) until pt_xsk_recv
 * hands it out in a frame, and to the caller until pt_xsk_recycle.  A TX buffer
 * belongs to the caller from pt_xsk_tx_frame to pt_xsk_tx_submit, then to the
 * kernel until pt_xsk_tx_reap finds it completed.  Completion does not mean
 * delivery.
 *
 * Threads: no locks.  The RX functions by one thread, the TX functions by one
 * thread; it may be another.  pt_xsk_stats by any.
 */
#ifndef XSK_XSK_H
#define XSK_XSK_H

#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <pagetrim/error.h>
#include <pagetrim/span.h>
#include "xdp/device.h"
#include "xsk/umem.h"

#define PT_XSK_CHUNK_SZ		4096	/* bytes; the kernel takes no larger */
#define PT_XSK_BATCH_MAX	64	/* frames of one pt_xsk_recv */
#define PT_XSK_STALE_NS		10000000ULL /* zero copy: frames that wait
					     * longer are kicked again */

struct pt_xsk;

struct pt_xsk_cfg {
	const struct pt_device *device;
	__u32	queue;
	__u32	rx_chunk_cnt;	/* a power of two, 64..65536; 0: no receiving */
	__u32	tx_chunk_cnt;	/* 64..65536; 0: no sending */
	__u32	tx_frame_sz_max; /* Ethernet bytes of the largest frame sent,
				  * 64..PT_XSK_CHUNK_SZ * PT_SPANS_MAX */
	bool	zero_copy;	/* required: else -EOPNOTSUPP or the driver's
				 * error; false: frames are copied */
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
	enum pt_hugepages hugepages;	/* the kind that the chunks got */
};

/* pt_xsk_make does the part that needs a privilege: the chunks, and a socket
 * that is not bound yet.  cfg->queue is for errors only; if cfg->zero_copy is
 * set, the socket can be bound either way.  On success returns 0 and *out is
 * the caller's, to pt_xsk_close.  Else:
 *   -EINVAL  cfg
 *   -EPERM   no CAP_NET_RAW
 *   -ENOMEM, -ENOBUFS  no memory, or over RLIMIT_MEMLOCK */
int pt_xsk_make(struct pt_xsk **out, const struct pt_xsk_cfg *cfg,
		struct pt_error *err);

/* pt_xsk_bind binds a made socket to cfg->queue, in zero-copy mode if
 * requested.  Frames have several descriptors if the device's MTU or
 * tx_frame_sz_max needs them and the kernel has them (6.6), else one.  cfg has
 * the same chunk counts as for pt_xsk_make.  A queue that another socket just
 * released is tried again for up to 1 s.  It needs no privilege.  After a
 * failure it can be bound again:
 *   -EBUSY   another socket holds the queue
 *   -ECHRNG  the device does not have the queue, or no longer
 *   -EINVAL  the kernel has no copy mode for it
 *   -EMSGSIZE  tx_frame_sz_max needs several descriptors; the kernel has not
 *   -ECANCELED  stop_fd
 *   -EOPNOTSUPP, -EINVAL, -ENOENT, ...  no zero copy, as the driver says */
int pt_xsk_bind(struct pt_xsk *x, const struct pt_xsk_cfg *cfg,
		struct pt_error *err);

/* pt_xsk_is_queue_fault: another queue of the device may do. */
static inline bool pt_xsk_is_queue_fault(int code)
{
	return code == -EBUSY || code == -ECHRNG;
}

/* pt_xsk_open makes and binds, with the errors of both. */
int pt_xsk_open(struct pt_xsk **out, const struct pt_xsk_cfg *cfg,
		struct pt_error *err);
void pt_xsk_close(struct pt_xsk *x);	/* NULL is fine */

/* pt_xsk_shut closes the socket, so that the queue is free, and keeps the
 * memory for readers of its frames.  Only pt_xsk_close may follow.  NULL is
 * allowed. */
void pt_xsk_shut(struct pt_xsk *x);

int pt_xsk_fd(const struct pt_xsk *x);	/* for pt_program_socket_set and poll */
void pt_xsk_info(const struct pt_xsk *x, struct pt_xsk_info *info);

/* pt_rx_frame: a received frame, in place in the RX chunks. */
struct pt_rx_frame {
	struct pt_span spans[PT_SPANS_MAX];
	__u32	span_cnt;	/* 1..PT_SPANS_MAX */
	__u32	sz;		/* Ethernet bytes, the sum of the spans */
};

/* pt_xsk_recv hands out up to max (1..PT_XSK_BATCH_MAX) frames and returns
 * their count.  It makes no system call. */
__u32 pt_xsk_recv(struct pt_xsk *x, struct pt_rx_frame *frames, __u32 max);

/* pt_xsk_rx_fill returns the descriptors that wait in the RX ring.  The
 * receiving thread calls it. */
__u32 pt_xsk_rx_fill(const struct pt_xsk *x);

/* pt_xsk_recycle gives the chunks of cnt frames back to be filled again.  It
 * makes a system call only if a zero-copy driver asks for it. */
void pt_xsk_recycle(struct pt_xsk *x, const struct pt_rx_frame *frames,
		    __u32 cnt);

/* pt_xsk_wait sleeps until a frame arrived (bit 0 of the result), extra_fd (-1:
 * none) is readable (bit 1), or timeout_ms (-1: never) passed (0); a signal
 * returns 0, too.  -ENETDOWN: the device was removed; a device that is merely
 * down counts as silence. */
int pt_xsk_wait(struct pt_xsk *x, int timeout_ms, int extra_fd);

/* pt_xsk_error returns pt_xsk_wait's error once the device was removed, else
 * 0.  Any thread. */
int pt_xsk_error(const struct pt_xsk *x);

/* pt_xsk_tx_frame returns a free buffer of tx_frame_sz_max bytes, 4096-byte
 * aligned; NULL: reap, wait, try again.  It reaps if none is free. */
void *pt_xsk_tx_frame(struct pt_xsk *x);

/* pt_xsk_tx_submit queues the frame of sz (14..tx_frame_sz_max) bytes in
 * buffer; pt_xsk_tx_kick notifies the kernel. */
void pt_xsk_tx_submit(struct pt_xsk *x, void *buffer, __u32 sz);

/* pt_xsk_tx_give_back returns an unsent buffer. */
void pt_xsk_tx_give_back(struct pt_xsk *x, void *buffer);

/* pt_xsk_tx_kick makes the kernel send the queued frames, and reaps, so that
 * the buffers just sent are filled next; it is best called once per 256 KiB,
 * which the cache holds.  Returns 0: all were taken; 1: some are still queued
 * (driver or socket buffer full): pt_xsk_tx_wait, then kick again;
 *   -ENETDOWN  the device is down: frames stay queued, a later kick sends them
 *   -ENXIO     the device is gone
 *   -EINVAL    zero copy: the driver wants an XDP program on the device
 * With zero copy 1 also means that the driver has not processed all of them.
 * Frames that wait longer than PT_XSK_STALE_NS are kicked again, even if the
 * driver does not ask for it.  A frame that the device refuses is dropped and
 * counted (tx_refused). */
int pt_xsk_tx_kick(struct pt_xsk *x);

/* pt_xsk_tx_reap takes completed buffers back and returns the count of frames.
 * It makes no system call. */
__u32 pt_xsk_tx_reap(struct pt_xsk *x);

/* pt_xsk_tx_mark returns a mark behind all frames submitted so far; they are taken
 * in order.  pt_xsk_tx_is_taken: the kernel has taken all frames before the mark,
 * whichever were submitted since.  pt_xsk_tx_has_buffer: pt_xsk_tx_frame has one.  No
 * system call. */
__u64 pt_xsk_tx_mark(const struct pt_xsk *x);
bool pt_xsk_tx_is_taken(struct pt_xsk *x, __u64 mark);
bool pt_xsk_tx_has_buffer(struct pt_xsk *x);

/* pt_xsk_tx_is_idle returns whether all submitted frames are completed.  It
 * reaps, without a system call. */
bool pt_xsk_tx_is_idle(struct pt_xsk *x);

/* pt_xsk_tx_waits: a zero-copy socket has frames that are not completed: kick
 * again within PT_XSK_STALE_NS.  False in copy mode. */
bool pt_xsk_tx_waits(struct pt_xsk *x);

/* pt_xsk_tx_wait sleeps until a buffer is free and the kernel has taken all
 * queued frames, kicking as needed, for at most timeout_ms (0..60000).  Returns
 * 1: done; 0: timeout; -errno as pt_xsk_tx_kick. */
int pt_xsk_tx_wait(struct pt_xsk *x, int timeout_ms);

/* pt_xsk_tx_prove sends a frame to ourselves, mac, which no switch forwards,
 * and waits for its completion, at most timeout_ms.  It comes before all other
 * frames. -ETIMEDOUT it was not completed; or the last -errno of pt_xsk_tx_kick
 *   -ECANCELED  stop_fd (-1: none) is readable */
int pt_xsk_tx_prove(struct pt_xsk *x, const __u8 mac[6], int timeout_ms,
		    int stop_fd);

/* pt_xsk_stats: the frame counters of this socket. */
struct pt_xsk_stats {
	__u64	received;	/* frames handed out by pt_xsk_recv */
	__u64	rx_dropped;	/* frames: no chunk to fill, or too long */
	__u64	rx_ring_full;	/* frames: RX ring full */
	__u64	rx_oversized;	/* frames of over PT_SPANS_MAX descriptors */
	__u64	rx_fill_empty;	/* times the fill ring was empty, which counts
				 * neither frames nor descriptors: a hint
				 * only */
	__u64	tx_submitted;	/* frames */
	__u64	tx_completed;	/* frames, the refused among them */
	__u64	tx_refused;	/* frames dropped by the device on sending */
	__u64	tx_invalid;	/* descriptors refused by the kernel: a bug */
};

/* Every frame that XDP steered to this queue is received or dropped here:
 *
 *     steered == received + rx_dropped + rx_ring_full + rx_oversized
 *
 * once the RX ring is read empty.  All count frames, not descriptors: the
 * kernel drops a frame whole and counts it in one of the first two.  Only
 * rx_fill_empty differs: for frames of one descriptor it equals rx_dropped, for
 * larger ones it may stay 0. */
static inline __u64 pt_xsk_dropped(const struct pt_xsk_stats *s)
{
	return s->rx_dropped + s->rx_ring_full + s->rx_oversized;
}

int pt_xsk_stats(const struct pt_xsk *x, struct pt_xsk_stats *stats);

#endif
