/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* maps: keys and values of the receive program's maps, shared with the agent.
 *
 * pt_endpoints  HASH         pt_endpoint -> __u32 sessions open on it
 * pt_sessions   HASH         __u64 session_id -> pt_session
 * pt_xsks       XSKMAP       __u32 queue -> AF_XDP socket
 * pt_queue_counters   PERCPU_ARRAY  __u32 queue -> pt_counters
 * pt_session_counters PERCPU_HASH   __u64 session_id -> pt_counters
 */
#ifndef PAGETRIM_MAPS_H
#define PAGETRIM_MAPS_H

#include <linux/types.h>
#include <pagetrim/verdict.h>
#include <pagetrim/wire.h>

/* PT_RULES: the version of the rules by which a program judges frames.  It
 * grows with each change after which an older program drops sound frames: 2
 * added records of kind copy, 3 frames of version 3.  A program without the
 * number has the first rules. */
#define PT_RULES		3

/* pt_constants: a program's description of itself, its constant of that
 * name. */
struct pt_constants {
	__u32	rules;		/* PT_RULES when it was built */
	__u32	ifindex;	/* the device for which pagetrim attach loaded
				 * it, and ... */
	__u64	netns_cookie;	/* ... its network namespace then; 0: a receiver
				 * loaded it for itself */
};

#define PT_QUEUES_MAX		256	/* queue numbers 0..255 of a device */
#define PT_SESSIONS_MAX		1024	/* sessions open at once on a device */

#define PT_QUEUE_ANY		0xffff	/* lane not agreed yet: probes only */

/* pt_endpoint: an address and port that a session opened.  A frame to both is
 * ours; any other belongs to the kernel. */
struct pt_endpoint {
	__u8	addr[16];	/* IPv6, or IPv4 as ::ffff:a.b.c.d */
	__be16	port;		/* UDP destination port, network order */
	__u16	unused;		/* zero: a hash key has no padding */
};

/* pt_session: an open session, as XDP needs it. */
struct pt_session {
	struct pt_endpoint endpoint;	/* destination of its frames */
	__u16	lane_queue[PT_LANES_MAX]; /* host order: the queue on which the
					   * lane's data frames must arrive, or
					   * PT_QUEUE_ANY: its data frames are
					   * dropped, its probes steered */
	__u16	lane_cnt;		/* lanes 0..lane_cnt - 1 exist */
	__u8	is_sealed;		/* 0, 1: its frames are sealed; others
					 * are refused */
	__u8	unused;			/* zero */
	__u64	header_key[2];		/* pt_siphash_key of its key; not
					 * sealed: zero */
	__u64	holder;			/* in pinned maps: the number of the
					 * process that opened it */
};

#endif
