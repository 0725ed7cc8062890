/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_path: the path from this host to the receiver: device, route, next hop's
 * MAC address, leased queues and their TX sockets.  Threads: control's.
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
	struct pt_address src;		/* our end of the control channel */
	bool src_is_local;		/* in the host's routes; else its removal
					 * is not watched */
	struct pt_address dst;		/* the receiver, with its UDP port */
	struct pt_link link;		/* source port: the first lane's */
	int trouble_code;		/* -errno: the path is broken or changed;
					 * 0: it is not */
	struct pt_error trouble;	/* the reason, ... */
	__u64 trouble_ns;		/* ... and since when */
	struct pt_monitor *monitor;
	__u32 queue_wish;		/* 1..PT_LANES_MAX; PT_QUEUES_AUTO */
	__u32 lane_wish;		/* 1..PT_LANES_MAX; 0: one a queue */
	enum pt_hugepages hugepages;	/* for the lanes' memory */
	__u32 queue_cnt;		/* leased, with one socket each */
	__u32 lane_cnt;			/* >= queue_cnt, which they share */
	struct pt_leases *device_leases;
	struct pt_lease *leases[PT_LANES_MAX];
	__u32 made_cnt;			/* sockets; >= queue_cnt after prepare */
	struct pt_xsk *xsks[PT_LANES_MAX];	/* the first queue_cnt get bound */
	struct pt_xsk *spare;		/* see pt_card_bind; NULL: none */
	__u32 frame_sz_max;		/* Ethernet bytes that both ends support */
};

struct pt_send_path_cfg {
	const struct pt_address *src;	/* our end of the control channel */
	const struct pt_address *dst;
	const struct pt_msg_offer *offer;
	__u32 mtu;			/* 0: the device's; else at most that */
};

/* pt_send_path_init looks up the device, opens the file of its leases, and
 * checks mtu, as in the cfg above: faults that can be found before the receiver
 * is connected. */
int pt_send_path_init(struct pt_send_path *path, const char *dev, __u32 mtu,
		      struct pt_error *err);

/* pt_send_path_prepare does everything that requires privileges, without
 * blocking: it prepares the device for zero copy, if cfg wants it and the
 * device supports it, and creates unbound sockets for the largest possible
 * number of queues.  queue_cnt and lane_cnt are stored as wishes.  -EINVAL: fewer
 * lanes than queues are wanted. */
int pt_send_path_prepare(struct pt_send_path *path,
			 const struct pt_card_cfg *cfg, __u32 queue_cnt,
			 __u32 lane_cnt, enum pt_hugepages hugepages,
			 struct pt_error *err);

/* pt_send_path_check_mtu returns -EMSGSIZE if frames of frame_sz Ethernet
 * bytes, the largest of the part named by what ("the path"), do not hold
 * packets of mtu bytes.  mtu 0 allows any. */
int pt_send_path_check_mtu(const struct pt_send_path *path, __u32 mtu,
			   __u32 frame_sz, const char *what,
			   struct pt_error *err);

/* pt_send_path_begin opens the monitor.  It requires the control connection to
 * the receiver, by which the kernel resolves the next hop's MAC address. */
int pt_send_path_begin(struct pt_send_path *path,
		       const struct pt_send_path_cfg *cfg,
		       struct pt_error *err);

/* pt_send_path_find looks up source, route and next hop.  Errors name the
 * missing part.
 *   -EAGAIN  the MAC address is not known yet; call it again when the monitor is
 *            readable */
int pt_send_path_find(struct pt_send_path *path, struct pt_error *err);

/* pt_send_path_bind leases queues, and binds the sockets to them. */
int pt_send_path_bind(struct pt_send_path *path,
		      const struct pt_send_path_cfg *cfg, struct pt_error *err);

/* pt_send_path_close may be called in any state after init, also after a
 * failure. */
void pt_send_path_close(struct pt_send_path *path);

/* pt_send_path_shut closes the program, and the sockets that no worker uses;
 * is_unused is by queue.  Their memory stays readable until
 * pt_send_path_close. */
void pt_send_path_shut(struct pt_send_path *path,
		       const bool is_unused[PT_LANES_MAX]);

/* pt_send_path_refresh looks up device, addresses, route and next hop again,
 * after the monitor reported a change, bits of enum pt_change.  1: link has
 * changed; 0: it is as before, or trouble_code is set, which may pass. */
int pt_send_path_refresh(struct pt_send_path *path, int change);

/* pt_send_path_judge returns trouble_code if the trouble has lasted too
 * long. */
int pt_send_path_judge(const struct pt_send_path *path, struct pt_error *err);

/* pt_send_path_explain puts the trouble, if any, in front of err, the text of a
 * transfer that ended by code, since it may be the cause. */
void pt_send_path_explain(const struct pt_send_path *path, int code,
			  struct pt_error *err);

#endif
