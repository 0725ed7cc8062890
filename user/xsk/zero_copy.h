/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* zero_copy: decides whether AF_XDP sockets of a device should be zero copy.
 * Pure: the caller gathers the facts and acts on the answer.  Threads: any. */
#ifndef XSK_ZERO_COPY_H
#define XSK_ZERO_COPY_H

#include <linux/types.h>
#include <stdbool.h>

#include <pagetrim/error.h>
#include "xdp/device.h"

/* PT_ZERO_COPY: X(SYMBOL, name); the words of --zero-copy.  The first is the
 * default of a zeroed cfg. */
#define PT_ZERO_COPY(X)							\
	X(AUTO,	"auto")	/* where it works and costs no other traffic frames */	\
	X(ON,	"on")	/* refused where impossible */				\
	X(OFF,	"off")

enum pt_zero_copy {
#define X(SYMBOL, name) PT_ZERO_COPY_##SYMBOL,
	PT_ZERO_COPY(X)
#undef X
};

/* pt_netdev_facts: the kernel's facts about a device's driver. */
struct pt_netdev_facts {
	bool known;		/* false: a kernel before 6.3 */
	__u64 xdp_features;	/* NETDEV_XDP_ACT_* */
	__u32 zc_max_segs;	/* the most buffers of a frame in zero copy; 0:
				 * not reported */
};

struct pt_zero_copy_facts {
	enum pt_zero_copy wish;
	bool generic;		/* the XDP program is to run in generic mode */
	bool garbles;		/* the sockets send, and the driver puts bytes
				 * of a wrong page before each frame */
	__u32 mtu;		/* of the device */
	struct pt_netdev_facts netdev;
};

/* PT_ZERO_COPY_ANSWERS: X(SYMBOL).  All but TRY mean copy mode. */
#define PT_ZERO_COPY_ANSWERS(X)						\
	X(TRY)		/* it may work: bind and check */		\
	X(UNWANTED)	/* --zero-copy off */				\
	X(GENERIC)	/* not with --generic */			\
	X(ABSENT)	/* the driver has none */			\
	X(MTU)		/* one buffer per frame, and the MTU is above it: \ others' frames would be lost, and ours small */ \
	X(SEGMENTS)	/* several buffers per frame, and still too few */ \
	X(GARBLES)	/* frames may be lost on the path, unnoticed */

enum pt_zero_copy_answer {
#define X(SYMBOL) PT_ZERO_COPY_##SYMBOL,
	PT_ZERO_COPY_ANSWERS(X)
#undef X
};

enum pt_zero_copy_answer
pt_zero_copy_judge(const struct pt_zero_copy_facts *facts);

/* pt_zero_copy_is_said: the reason for copy mode is worth reporting.  It is not
 * where the driver has no zero copy. */
bool pt_zero_copy_is_said(enum pt_zero_copy_answer answer);

/* pt_zero_copy_explain writes the reason for copy mode, device first. */
void pt_zero_copy_explain(struct pt_error *why, enum pt_zero_copy_answer answer,
			  const struct pt_device *device,
			  const struct pt_netdev_facts *netdev);

/* pt_zero_copy_mtu_max returns the largest MTU at which no frame is lost, given
 * up to max_segs buffers per frame. */
__u32 pt_zero_copy_mtu_max(__u32 max_segs);

/* pt_zero_copy_needs_segs: frames of that MTU take several buffers. */
static inline bool pt_zero_copy_needs_segs(__u32 mtu)
{
	return mtu > pt_zero_copy_mtu_max(1);
}

#endif
