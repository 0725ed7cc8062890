/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xsk/zero_copy.h"

#include <errno.h>

/* Bits of NETDEV_XDP_ACT_* in the kernel's netdev.h: an AF_XDP socket also
 * needs XDP and redirection. */
#define ACT_BASIC	1
#define ACT_REDIRECT	2
#define ACT_ZEROCOPY	8

/* The bytes of a chunk of 4096 that a frame can use: all but the headroom in a
 * single chunk, and in several also not the tail, where the kernel keeps its
 * own data. */
#define SINGLE_SZ	3840
#define SEGMENT_SZ	3456

/* The frame's bytes beyond the MTU: Ethernet header, two VLAN tags, FCS. */
#define HDRS_SZ		26

__u32 pt_zero_copy_mtu_max(__u32 max_segs)
{
	return (max_segs > 1 ? max_segs * SEGMENT_SZ : SINGLE_SZ) - HDRS_SZ;
}

static bool has_zero_copy(const struct pt_netdev_facts *netdev)
{
	const __u64 all = ACT_BASIC | ACT_REDIRECT | ACT_ZEROCOPY;

	/* If the kernel cannot report it, binding decides. */
	return !netdev->known || (netdev->xdp_features & all) == all;
}

enum pt_zero_copy_answer
pt_zero_copy_judge(const struct pt_zero_copy_facts *facts)
{
	__u32 segs = facts->netdev.zc_max_segs;

	if (facts->wish == PT_ZERO_COPY_OFF)
		return PT_ZERO_COPY_UNWANTED;
	if (facts->generic)
		return PT_ZERO_COPY_GENERIC;
	if (!has_zero_copy(&facts->netdev))
		return PT_ZERO_COPY_ABSENT;
	if (facts->mtu > pt_zero_copy_mtu_max(segs))
		return segs > 1 ? PT_ZERO_COPY_SEGMENTS : PT_ZERO_COPY_MTU;
	/* Some networks never look at these bytes, so `on` tries it. */
	if (facts->garbles && facts->wish != PT_ZERO_COPY_ON)
		return PT_ZERO_COPY_GARBLES;
	return PT_ZERO_COPY_TRY;
}

bool pt_zero_copy_is_said(enum pt_zero_copy_answer answer)
{
	return answer == PT_ZERO_COPY_MTU || answer == PT_ZERO_COPY_SEGMENTS ||
	       answer == PT_ZERO_COPY_GARBLES;
}

void pt_zero_copy_explain(struct pt_error *why, enum pt_zero_copy_answer answer,
			  const struct pt_device *dev,
			  const struct pt_netdev_facts *netdev)
{
	__u32 mtu_max = pt_zero_copy_mtu_max(netdev->zc_max_segs);

	switch (answer) {
	case PT_ZERO_COPY_TRY:
	case PT_ZERO_COPY_UNWANTED:
		pt_error_set(why, PT_EXIT_HOST, -EINVAL, "%s: zero copy is not "
			     "asked for", dev->name);
		break;
	case PT_ZERO_COPY_GENERIC:
		pt_error_set(why, PT_EXIT_HOST, -EINVAL, "%s: no zero copy with "
			     "{generic} (leave it out)", dev->name);
		break;
	case PT_ZERO_COPY_ABSENT:
		pt_error_set(why, PT_EXIT_HOST, -EOPNOTSUPP, "%s: driver %s has "
			     "no zero copy for AF_XDP ({zero-copy} auto does "
			     "without)", dev->name,
			     dev->driver[0] ? dev->driver : "?");
		break;
	case PT_ZERO_COPY_GARBLES:
		pt_error_set(why, PT_EXIT_HOST, -EOPNOTSUPP, "%s: driver %s, "
			     "as a module, may send garbage as the header of "
			     "frames that it does not copy, and its host drop "
			     "them "
			     "({zero-copy} on tries it)", dev->name,
			     dev->driver);
		break;
	case PT_ZERO_COPY_MTU:
	case PT_ZERO_COPY_SEGMENTS:
		pt_error_set(why, PT_EXIT_HOST, -EMSGSIZE, "%s: its MTU is %u, "
			     "and zero copy of driver %s takes frames for %u at "
			     "most: larger ones, all the host's, would be lost "
			     "(ip link set %s mtu %u, or {zero-copy} auto does "
			     "without)", dev->name, dev->mtu,
			     dev->driver[0] ? dev->driver : "?", mtu_max,
			     dev->name, mtu_max);
		break;
	}
}
