/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* facts: the doctor's observations, without judgement. */
#ifndef DOCTOR_FACTS_H
#define DOCTOR_FACTS_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>

#include <pagetrim/maps.h>
#include "net/route.h"
#include "seal/cipher.h"
#include "wire/compress.h"
#include "xdp/device.h"
#include "xdp/lease.h"

/* pt_try: the result of an attempt. */
#define PT_NOT_TRIED	1

struct pt_try {
	int	ret;		/* 0: it works, PT_NOT_TRIED, or -errno */
	char	why[256];	/* why not tried, or the error's text */
};

#define PT_KERNEL(major, minor)	((major) * 1000u + (minor))

struct pt_facts_host {
	char	release[65];	/* "6.1.0-42-amd64" */
	__u32	kernel;		/* PT_KERNEL(6, 1) */
	__u64	caps;		/* effective: bit CAP_NET_RAW and so on */
	bool	is_inner;	/* in another user namespace than the host's
				 * first, where some of them have no effect */
	bool	bars_sockets;	/* AF_XDP sockets are not permitted in this
				 * network namespace */
	__u64	memlock_sz;	/* bytes that may be locked, ~0: any */
	bool	has_btf, has_af_xdp, has_bpffs;
	int	locks;		/* 0: the folder of the leases can be written,
				 * or -errno */
	struct pt_try program;	/* loading the receive program */
	struct pt_try dispatcher; /* loading extension programs */
	__u64	huge_free_cnt;	/* pages of 2 MiB */
	bool	thp_never;
	bool	has_aes, has_vaes;
	enum pt_cipher cipher;	/* chosen here */
	const char *cipher_lib;	/* the library that computes it, static */
	const char *scan, *checksum;	/* the variants chosen, static */
	__u8	compressions;	/* 1 << enum pt_compression, of this build */
};

/* pt_offload: features of a device that affect its frames.  X(SYMBOL, name by
 * the kernel, name by ethtool -K, finding when it is on) */
#define PT_OFFLOADS(X)							\
	X(GRO, "rx-gro", "gro", OFFLOAD_GRO)				\
	X(GRO_HW, "rx-gro-hw", "rx-gro-hw", OFFLOAD_LRO)		\
	X(GRO_LIST, "rx-gro-list", "rx-gro-list", OFFLOAD_MERGE)	\
	X(UDP_GRO, "rx-udp-gro-forwarding", "rx-udp-gro-forwarding",	\
	  OFFLOAD_MERGE)						\
	X(LRO, "rx-lro", "lro", OFFLOAD_LRO)				\
	X(TX_CSUM, "tx-checksum-ip-generic", "tx", OFFLOAD_CSUM)

enum pt_offload {
#define X(symbol, kernel, ethtool, finding) PT_OFFLOAD_##symbol,
	PT_OFFLOADS(X)
#undef X
	PT_OFFLOAD_CNT
};

struct pt_facts_device {
	struct pt_try found;	/* all below only if 0 */
	struct pt_device dev;
	bool	features_known;	/* the kernel reports them (6.3) */
	__u64	xdp_features;	/* NETDEV_XDP_ACT_* */
	__u32	zc_max_segs;	/* as in struct pt_netdev_facts */
	bool	garbles;	/* as in struct pt_zero_copy_facts, if it
				 * sends */
	__u32	offloads;	/* bit of enum pt_offload: on */
	__u32	link_mbit;	/* 0: not known, or no real link */
	__u32	rss_queue_cnt;	/* queues over which the hash spreads, 0:
				 * none */
	int	rule;		/* number of the port's rule, -1: none */
	int	rule_queue;	/* its queue, -1: it drops */
};

/* Bits of xdp_features, as the kernel's netdev.h numbers them. */
#define PT_XDP_BASIC		(1u << 0)
#define PT_XDP_REDIRECT		(1u << 1)
#define PT_XDP_ZERO_COPY	(1u << 3)
#define PT_XDP_RX_SG		(1u << 5)

struct pt_facts_queue {
	__u32	queue;
	struct pt_lease_owner owner;	/* pid 0: not pagetrim's */
};

struct pt_facts_xdp {
	struct pt_try query;	/* for the device's program; if it is 0: */
	__u32	prog_id;	/* 0: none */
	bool	generic;
	bool	named;		/* the following fields are known */
	char	prog_name[64];
	bool	ours;		/* pagetrim's */
	bool	pinned;		/* by attach, here */
	bool	dispatcher;	/* libxdp's: prog_name lists its programs */
	bool	has_pins;	/* the folder of attach exists */
	bool	is_given;	/* this user may take the device's leases, also
				 * if the folder cannot be written */

	__u32	taken_cnt;	/* queues that are taken */
	struct pt_facts_queue taken[PT_QUEUES_MAX];

	struct pt_try attach;	/* native, on a veth */
	bool	attach_multi_buffer;
	struct pt_try bind;	/* an AF_XDP socket */
	__u32	bind_queue;
	bool	bind_zero_copy;	/* if features_known, not tried */
	struct pt_try bind_large; /* a socket for frames of several buffers */
};

struct pt_facts_path {
	struct pt_try route;	/* if it failed, nothing below is known */
	struct pt_address dst;	/* with the port */
	struct pt_route found;
	struct pt_try mtu;	/* of the measurement that gives the next two */
	__u32	mtu_sz;		/* bytes of the largest packet that passed */
	bool	mtu_hole;	/* larger ones are dropped silently */
	struct pt_try connect;	/* TCP to the port */
};

struct pt_facts_speed {
	double	scan_sz_s;	/* bytes a second, 0: not measured */
	double	seal_sz_s;
};

struct pt_facts {
	struct pt_facts_host host;
	struct pt_facts_device device;
	struct pt_facts_xdp xdp;
	struct pt_facts_path path;
	struct pt_facts_speed speed;
};

#endif
