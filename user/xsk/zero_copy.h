/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* zero_copy: whether AF_XDP sockets of a device should be zero copy.  A rule on
 * facts, pure: who asks for the facts and acts on the answer, is elsewhere.
 * Threads: any. */
#ifndef PT_XDP_ZERO_COPY_H
#define PT_XDP_ZERO_COPY_H

#include <linux/types.h>
#include <stdbool.h>

#include <pagetrim/error.h>
#include "xdp/device.h"

/* PT_ZERO_COPY: X(SYMBOL, name); what --zero-copy takes.  The first is what a
 * cfg of zeroes means. */
#define PT_ZERO_COPY(X)							\
	X(AUTO,	"auto")	/* where it works, and costs nobody frames */	\
	X(ON,	"on")	/* or it is refused */				\
	X(OFF,	"off")

enum pt_zero_copy {
#define X(SYMBOL, name) PT_ZERO_COPY_##SYMBOL,
	PT_ZERO_COPY(X)
#undef X
};

/* pt_netdev_facts: what the kernel says of a device's driver. */
struct pt_netdev_facts {
	bool known;		/* false: a kernel before 6.3 */
	__u64 xdp_features;	/* NETDEV_XDP_ACT_* */
	__u32 zc_max_segs;	/* buffers of one frame in zero copy; 0: it does
				 * not say, 1: no more than one */
};

struct pt_zero_copy_facts {
	enum pt_zero_copy wish;
	bool generic;		/* the XDP program is to run in generic mode */
	bool garbles;		/* the sockets send, by a driver that puts bytes
				 * of a wrong page before each frame */
	__u32 mtu;		/* of the device */
	struct pt_netdev_facts netdev;
};

/* PT_ZERO_COPY_ANSWERS: X(SYMBOL).  All but TRY mean copy mode. */
#define PT_ZERO_COPY_ANSWERS(X)						\
	X(TRY)		/* it may work: bind, and see */		\
	X(UNWANTED)	/* --zero-copy off */				\
	X(GENERIC)	/* not with --generic */			\
	X(ABSENT)	/* the driver has none */			\
	X(MTU)		/* one buffer a frame, and the MTU is above it:	\
			 * others' frames would be lost, and ours small */ \
	X(SEGMENTS)	/* several buffers a frame, and still too few */ \
	X(GARBLES)	/* frames may be lost on the way, unseen by us */

enum pt_zero_copy_answer {
#define X(SYMBOL) PT_ZERO_COPY_##SYMBOL,
	PT_ZERO_COPY_ANSWERS(X)
#undef X
};

enum pt_zero_copy_answer
pt_zero_copy_judge(const struct pt_zero_copy_facts *facts);

/* pt_zero_copy_is_said: in copy mode for that reason somebody may wonder why;
 * where a driver has no zero copy, nobody does. */
bool pt_zero_copy_is_said(enum pt_zero_copy_answer answer);

/* pt_zero_copy_explain writes why it is copy mode, device first. */
void pt_zero_copy_explain(struct pt_error *why, enum pt_zero_copy_answer answer,
			  const struct pt_device *device,
			  const struct pt_netdev_facts *netdev);

/* pt_zero_copy_mtu_max returns the largest MTU with which no frame is lost where
 * a frame has up to max_segs buffers. */
__u32 pt_zero_copy_mtu_max(__u32 max_segs);

/* pt_zero_copy_needs_segs: frames of that MTU take several buffers. */
static inline bool pt_zero_copy_needs_segs(__u32 mtu)
{
	return mtu > pt_zero_copy_mtu_max(1);
}

#endif
