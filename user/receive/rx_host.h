/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_host: what all sessions of a receiver share: device, XDP program, queues
 * with their sockets and threads.
 * Threads: control's, but for what rx_queue.h says.
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
	struct pt_stage_clock clocks[PT_LANES_MAX];	/* theirs, ... */
	bool profile;			/* ... if so */
	struct pt_cpus cpus;		/* of their threads */
	struct pt_counters before[PT_LANES_MAX]; /* of the queues, at start */
	enum pt_hugepages hugepages;	/* ON: of all queues */
	__u32 desc_sz;		/* bytes of a frame in one RX descriptor */
	__u32 frame_sz_max;	/* Ethernet bytes */
	int detour_fd;		/* see detour.h; -1: none */
	struct pt_intake *sessions[PT_TRANSFERS_MAX]; /* on the queues now */
	__u32 session_cnt;
	bool is_full;		/* takes no further session */
	struct pt_admission admission;	/* of all that were opened */
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
	int stop_fd;		/* readable: -ECANCELED in place of a wait */
};

/* pt_rx_host_open does all that takes a privilege, waits for nothing and starts no
 * thread.  pt_rx_host_start waits for the carrier, binds the sockets to their queues
 * and starts their threads: in between the process can give up its privileges. */
int pt_rx_host_open(struct pt_rx_host *h, const struct pt_rx_host_cfg *cfg,
		    struct pt_error *err);
int pt_rx_host_start(struct pt_rx_host *h, struct pt_error *err);

/* pt_rx_host_listen: where senders are told to send frames to is looked at on
 * the other devices, too, if it can be. */
void pt_rx_host_listen(struct pt_rx_host *h, const struct pt_address *listen);

/* pt_rx_host_close frees queues and device: threads, sockets and program are gone
 * after it.  Their memory stays for placers that still read frames in it, until
 * pt_rx_host_free.  Both are fine twice, the latter alone, too. */
void pt_rx_host_close(struct pt_rx_host *h);
void pt_rx_host_free(struct pt_rx_host *h);

/* pt_rx_host_watch: -ENODEV: frames do not reach us any more, and never will:
 * the device went away, or the program was taken off it.  Settles the program. */
int pt_rx_host_watch(struct pt_rx_host *h, struct pt_error *err);

/* pt_rx_host_profile: of the queues' threads, since they started. */
void pt_rx_host_profile(const struct pt_rx_host *h, struct pt_profile *out);

/* pt_rx_host_sockets writes each one's queue, and whether it is zero copy. */
void pt_rx_host_sockets(const struct pt_rx_host *h, __u16 queues[PT_LANES_MAX],
			bool zero_copy[PT_LANES_MAX]);

/* pt_rx_host_session_lock locks the queues that the session's lanes are on:
 * those of other sessions go on. */
void pt_rx_host_session_lock(struct pt_rx_host *h,
			     const struct pt_intake *intake);
void pt_rx_host_session_unlock(struct pt_rx_host *h,
			       const struct pt_intake *intake);

/* pt_rx_host_claim lets a session have that much memory, before anything is
 * kept for each page of it; pt_rx_host_unclaim gives it back.  -E2BIG: all
 * sessions together would have more than memory_sz_max. */
int pt_rx_host_claim(struct pt_rx_host *h, __u64 memory_sz,
		     struct pt_error *err);
void pt_rx_host_unclaim(struct pt_rx_host *h, __u64 memory_sz);

/* pt_rx_host_add makes the session known to XDP and queues.  -ENOSPC, or as
 * pt_program_session_add: after -EAGAIN nothing was done. */
int pt_rx_host_add(struct pt_rx_host *h, struct pt_intake *intake,
		   struct pt_error *err);

/* pt_rx_host_freeze: XDP steers no more frames of the session; its counters
 * stay.  pt_rx_host_remove: the queues forget it, after which no thread
 * touches it but placers, until pt_intake_free.  Waits for no storage. */
void pt_rx_host_freeze(struct pt_rx_host *h, struct pt_intake *intake);
void pt_rx_host_remove(struct pt_rx_host *h, struct pt_intake *intake);

/* pt_rx_host_lane_set puts a lane on a queue.  -ENOENT: no such queue here;
 * -ENOSPC: it has as many lanes as it can, or three quarters of that by this
 * peer's address or certificate. */
int pt_rx_host_lane_set(struct pt_rx_host *h, struct pt_intake *intake,
			__u16 lane_idx, __u16 queue);

/* pt_rx_host_lane_sync: the sender has sent all below seq_end. */
void pt_rx_host_lane_sync(struct pt_rx_host *h, struct pt_intake *intake,
			  __u16 lane_idx, __u64 seq_end);

/* pt_rx_host_stragglers_ns: where frames were lost, late or repeated, the path may
 * still hold some; they are given time to be counted, twice the grace or, if that is
 * longer, the longest reordering window.  A clean path waits for none. */
__u64 pt_rx_host_stragglers_ns(struct pt_rx_host *h,
			       const struct pt_intake *intake);

/* pt_rx_host_ledger fills in what XDP and the sockets say of the session, and
 * returns whether every frame that XDP steered has been taken or is known as
 * dropped: until then, ask again. */
bool pt_rx_host_ledger(struct pt_rx_host *h, struct pt_intake *intake,
		       struct pt_ledger *ledger);

#endif
