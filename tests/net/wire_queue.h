/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire_queue: one queue of both devices of the test wire: a UMEM and two
 * AF_XDP sockets on it, so that a frame goes from one device to the other
 * without being copied here.
 *
 *     side 0: device x, queue q            side 1: device y, queue q
 *     RX --recv--> caller --send--> TX     RX --recv--> caller --send--> TX
 *                         (side 1)                             (side 0)
 *
 * Ownership: recv gives the caller one reference to a frame's chunks; send and
 * put take one away, get adds one.  At none the chunks go back to the pool.
 *
 * No frame is lost silently: RX rings hold all chunks that are ever posted, the
 * caller waits for a full TX ring, and frames that the kernel drops are
 * counted.
 *
 * Threads: no locks; one thread uses a queue.
 */
#ifndef WIRE_QUEUE_H
#define WIRE_QUEUE_H

#include <linux/if_xdp.h>
#include <linux/types.h>
#include <stdbool.h>

#define WIRE_DESCS_MAX	18	/* descriptors of one frame: 17 fragments + 1 */
#define WIRE_CHUNK_SZ	4096

struct wire_queue;

/* wire_frame: a frame as its descriptors, each in one chunk. */
struct wire_frame {
	struct xdp_desc descs[WIRE_DESCS_MAX];
	__u32 desc_cnt;
	__u32 sz;		/* bytes of all of them */
};

/* wire_queue_open opens queue number queue of devs[0] and devs[1].
 * posted_cnt: chunks kept ready for arriving frames on each side, a power of
 * two, 64..32768.  Returns 0 or -errno; *out is the caller's, to
 * wire_queue_close. */
int wire_queue_open(struct wire_queue **out, const char *const devs[2],
		    __u32 queue, __u32 posted_cnt);
void wire_queue_close(struct wire_queue *q);

/* wire_queue_fd: the socket of a side, for poll and the XSKMAP. */
int wire_queue_fd(const struct wire_queue *q, unsigned side);

/* wire_queue_recv takes up to max whole frames that arrived on side. */
unsigned wire_queue_recv(struct wire_queue *q, unsigned side,
			 struct wire_frame *frames, unsigned max);

/* wire_queue_data: the first descriptor's bytes, descs[0].len of them. */
const void *wire_queue_data(const struct wire_queue *q,
			    const struct wire_frame *f);

/* wire_queue_room returns how many frames of any size side takes now. */
unsigned wire_queue_room(struct wire_queue *q, unsigned side);

/* wire_queue_send puts f on side's TX ring, which has room. */
void wire_queue_send(struct wire_queue *q, unsigned side,
		     const struct wire_frame *f);
void wire_queue_get(struct wire_queue *q, const struct wire_frame *f);
void wire_queue_put(struct wire_queue *q, const struct wire_frame *f);

/* wire_queue_own gives the caller, who holds a reference to f, chunks with the
 * same bytes that nobody else refers to, and f is those.  False: no chunks are
 * free, and nothing changed. */
bool wire_queue_own(struct wire_queue *q, struct wire_frame *f);

/* wire_queue_cut leaves the first sz bytes of f, 1..f->sz - 1. */
void wire_queue_cut(struct wire_queue *q, struct wire_frame *f, __u32 sz);

/* wire_queue_flip changes a bit of f, counted from its start, 0..8 * f->sz -
 * 1, the highest of a byte first. */
void wire_queue_flip(struct wire_queue *q, const struct wire_frame *f,
		     __u32 bit);

/* wire_queue_work makes the kernel send what side has on its TX ring, takes
 * back what was sent and posts free chunks for what may arrive.  Returns
 * whether frames are left that the kernel could not take yet, or -errno. */
int wire_queue_work(struct wire_queue *q, unsigned side);

/* wire_queue_tx_lost counts the frames that side sent and the kernel dropped. */
__u64 wire_queue_tx_lost(const struct wire_queue *q, unsigned side);

#endif
