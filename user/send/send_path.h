/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_path: the way from this host to the receiver: device, route, next
 * hop's MAC address, leased queues and their TX sockets.
 * Threads: control's.
 */
#ifndef SEND_SEND_PATH_H
#define SEND_SEND_PATH_H

#include "channel/messages.h"
#include "net/address.h"
#include "net/monitor.h"
#include "wire/link.h"
#include "xdp/device.h"
#include "xdp/lease.h"
#include "xsk/card.h"
#include "xsk/xsk.h"

struct pt_send_path {
	struct pt_device device;
	struct pt_card card;
	struct pt_address src;		/* ours, of the control connection */
	bool src_is_local;		/* by the host's routes: else not to be
					 * watched */
	struct pt_address dst;		/* the receiver, its UDP port */
	struct pt_link link;		/* source port: the first lane's */
	int trouble_code;		/* -errno: frames cannot go, or should
					 * not; 0: they may */
	struct pt_error trouble;	/* why, if so, ... */
	__u64 trouble_ns;		/* ... and since when */
	struct pt_monitor *monitor;
	__u32 queue_wish;		/* 1..PT_LANES_MAX; PT_QUEUES_AUTO */
	enum pt_hugepages hugepages;	/* for the lanes' memory */
	__u32 queue_cnt;		/* leased, with a socket each */
	struct pt_leases *device_leases;
	struct pt_lease *leases[PT_LANES_MAX];
	__u32 made_cnt;			/* sockets, >= queue_cnt once prepared; */
	struct pt_xsk *xsks[PT_LANES_MAX];	/* those of queues are bound */
	struct pt_xsk *spare;		/* see pt_card_bind; NULL: none */
	__u32 frame_sz_max;		/* Ethernet bytes both ends can do */
};

struct pt_send_path_cfg {
	const struct pt_address *src;	/* of the control connection */
	const struct pt_address *dst;
	const struct pt_msg_offer *offer;
	__u32 mtu;			/* 0: the device's; else no larger */
};

/* pt_send_path_init looks the device up, and opens the file of its leases: what
 * can be told to be wrong before anyone is called.  mtu as in the cfg below. */
int pt_send_path_init(struct pt_send_path *path, const char *dev, __u32 mtu,
		      struct pt_error *err);

/* pt_send_path_prepare does what takes a privilege: makes the device ready for zero
 * copy, if that is what cfg and device agree on, and sockets, unbound, for as many
 * queues as there will be at most: queue_cnt as queue_wish.  It waits for nobody. */
int pt_send_path_prepare(struct pt_send_path *path,
			 const struct pt_card_cfg *cfg, __u32 queue_cnt,
			 enum pt_hugepages hugepages, struct pt_error *err);

/* pt_send_path_check_mtu: -EMSGSIZE: what ("the path") takes, frames of frame_sz
 * Ethernet bytes, is less than the mtu asked for; 0: none was, any will do. */
int pt_send_path_check_mtu(const struct pt_send_path *path, __u32 mtu,
			   __u32 frame_sz, const char *what,
			   struct pt_error *err);

/* pt_send_path_begin, once the control connection to the receiver exists, so that its
 * MAC address gets resolved. */
int pt_send_path_begin(struct pt_send_path *path,
		       const struct pt_send_path_cfg *cfg,
		       struct pt_error *err);

/* pt_send_path_find looks for source, route and next hop.  Errors name what is missing.
 *   -EAGAIN  its MAC address is not known yet: when the monitor is readable, again */
int pt_send_path_find(struct pt_send_path *path, struct pt_error *err);

/* pt_send_path_bind takes queues, and binds the sockets to them. */
int pt_send_path_bind(struct pt_send_path *path,
		      const struct pt_send_path_cfg *cfg, struct pt_error *err);

/* pt_send_path_close: after init, whether open or not. */
void pt_send_path_close(struct pt_send_path *path);

/* pt_send_path_shut closes the sockets that nobody uses, by queue, and the program.
 * Their memory stays to be read, until pt_send_path_close. */
void pt_send_path_shut(struct pt_send_path *path,
		       const bool is_unused[PT_LANES_MAX]);

/* pt_send_path_refresh looks device, addresses, route and next hop up again
 * after the monitor reported a change, bits of enum pt_change.  1: link changed;
 * 0: as before, or in trouble, which may pass. */
int pt_send_path_refresh(struct pt_send_path *path, int change);

/* pt_send_path_judge: -errno: the trouble has lasted too long for anything to
 * come of waiting. */
int pt_send_path_judge(const struct pt_send_path *path, struct pt_error *err);

/* pt_send_path_explain puts the trouble, if there is any, in front of err, which
 * says of a transfer that ended by code what was noticed. */
void pt_send_path_explain(const struct pt_send_path *path, int code,
			  struct pt_error *err);

#endif
