/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_host: the resources that all sessions of a receiver share: device, XDP
 * program, queues with their sockets and threads.  Threads: control's, except
 * for the queues' threads, see rx_queue.h.
 */
#ifndef RECEIVE_RX_HOST_H
#define RECEIVE_RX_HOST_H

#include "receive/admission.h"
#include "rxq/rx_queue.h"
#include "xdp/device.h"
#include "xdp/lease.h"
#include "xdp/program.h"
#include "xsk/card.h"

struct pt_rx_host {
	struct pt_device device;
	struct pt_card card;
	struct pt_program *program;
	struct {
		__u32 queue_cnt;	/* as struct pt_queues_wish */
		enum pt_hugepages hugepages;
	} wish;
	__u32 queue_cnt;
	struct pt_leases *device_leases;
	struct pt_lease *leases[PT_LANES_MAX];
	struct pt_xsk *xsks[PT_LANES_MAX];
	struct pt_rx_queue *queues[PT_LANES_MAX];
	struct pt_stage_clock clocks[PT_LANES_MAX];	/* of their threads, ... */
	bool profile;			/* ... if this is set */
	struct pt_cpus cpus;		/* of their threads */
	struct pt_counters before[PT_LANES_MAX]; /* of the queues, at start */
	enum pt_hugepages hugepages;	/* ON: for all queues */
	__u32 desc_sz;		/* bytes of a frame in one RX descriptor */
	__u32 frame_sz_max;	/* Ethernet bytes */
	int detour_fd;		/* see detour.h; -1: none */
	struct pt_intake *sessions[PT_TRANSFERS_MAX]; /* on the queues now */
	__u32 session_cnt;
	bool is_full;		/* accepts no further session */
	bool is_draining;	/* the same, since the receiver is to end */
	struct pt_admission admission;	/* of all opened sessions */
	__u64 memory_sz_max;	/* bytes that all sessions may announce */
	__u64 memory_sz;	/* bytes that they have announced */
};

struct pt_rx_host_cfg {
	const char *dev;
	__u32 queue_cnt;	/* as struct pt_queues_wish */
	bool generic;
	enum pt_zero_copy zero_copy;
	enum pt_hugepages hugepages;
	bool profile;
	struct pt_cpus cpus;
	struct pt_peer_limits peer;
	__u64 memory_sz_max;	/* see pt_rx_host_claim */
	int stop_fd;		/* readable: start fails with -ECANCELED instead
				 * of waiting */
};

/* pt_rx_host_open does everything that requires privileges, without blocking,
 * and starts no thread.  pt_rx_host_start waits for the carrier, binds the
 * sockets to their queues and starts their threads.  In between the process can
 * drop its privileges. */
int pt_rx_host_open(struct pt_rx_host *h, const struct pt_rx_host_cfg *cfg,
		    struct pt_error *err);
int pt_rx_host_start(struct pt_rx_host *h, struct pt_error *err);

/* pt_rx_host_listen opens the detour socket, see detour.h, at the address to
 * which senders send frames.  A failure is ignored. */
void pt_rx_host_listen(struct pt_rx_host *h, const struct pt_address *listen);

/* pt_rx_host_close stops the threads, and closes sockets, program and leases.
 * The frames' memory stays for placers that still read it, until
 * pt_rx_host_free, which includes close.  Both may be called twice. */
void pt_rx_host_close(struct pt_rx_host *h);
void pt_rx_host_free(struct pt_rx_host *h);

/* pt_rx_host_watch calls pt_program_settle.  -ENODEV: no frames can arrive any
 * more, since the device was removed or the program was detached. */
int pt_rx_host_watch(struct pt_rx_host *h, struct pt_error *err);

/* pt_rx_host_profile writes the times of the queues' threads since their
 * start. */
void pt_rx_host_profile(const struct pt_rx_host *h, struct pt_profile *out);

/* pt_rx_host_sockets writes each socket's queue, and whether it is in zero-copy
 * mode. */
void pt_rx_host_sockets(const struct pt_rx_host *h, __u16 queues[PT_LANES_MAX],
			bool zero_copy[PT_LANES_MAX]);

/* pt_rx_host_session_lock locks the queues of the session's lanes; other queues
 * continue. */
void pt_rx_host_session_lock(struct pt_rx_host *h,
			     const struct pt_intake *intake);
void pt_rx_host_session_unlock(struct pt_rx_host *h,
			       const struct pt_intake *intake);

/* pt_rx_host_claim reserves memory_sz of memory_sz_max for a session, before
 * its tables are allocated; pt_rx_host_unclaim returns it.  -E2BIG: the sum of
 * all sessions would exceed memory_sz_max. */
int pt_rx_host_claim(struct pt_rx_host *h, __u64 memory_sz,
		     struct pt_error *err);
void pt_rx_host_unclaim(struct pt_rx_host *h, __u64 memory_sz);

/* pt_rx_host_add adds the session to XDP and queues.  -ENOSPC, or as
 * pt_program_session_add: after -EAGAIN nothing was changed. */
int pt_rx_host_add(struct pt_rx_host *h, struct pt_intake *intake,
		   struct pt_error *err);

/* pt_rx_host_freeze: XDP steers no more frames of the session; its counters
 * stay.  pt_rx_host_remove removes the session from XDP and queues; then only
 * placers touch it, until pt_intake_free.  It does not wait for storage. */
void pt_rx_host_freeze(struct pt_rx_host *h, struct pt_intake *intake);
void pt_rx_host_remove(struct pt_rx_host *h, struct pt_intake *intake);

/* pt_rx_host_lane_set assigns a lane to a queue.  -ENOENT: the host has no such
 * queue; -ENOSPC: the queue is full, or the peer's address or certificate has
 * three quarters of its lanes already. */
int pt_rx_host_lane_set(struct pt_rx_host *h, struct pt_intake *intake,
			__u16 lane_idx, __u16 queue);

/* pt_rx_host_lane_sync: the sender has sent all numbers below seq_end. */
void pt_rx_host_lane_sync(struct pt_rx_host *h, struct pt_intake *intake,
			  __u16 lane_idx, __u64 seq_end);

/* pt_rx_host_stragglers_ns returns how long frames may still arrive that have
 * to be counted: 0 if none were missing, late or repeated; else twice
 * reorder_min_ns, or the longest reordering window, if that is longer. */
__u64 pt_rx_host_stragglers_ns(struct pt_rx_host *h,
			       const struct pt_intake *intake);

/* pt_rx_host_ledger fills in the session's counters of XDP and sockets, and
 * returns whether each steered frame was received or dropped by a socket; else
 * the caller calls it again later. */
bool pt_rx_host_ledger(struct pt_rx_host *h, struct pt_intake *intake,
		       struct pt_ledger *ledger);

#endif
