// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* blast: the least that an XDP program can do for an AF_XDP receiver. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>

#include "blast.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, BLAST_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} blast_xsks SEC(".maps");

SEC("xdp.frags")
int blast_rx(struct xdp_md *ctx)
{
	const struct ethhdr *eth = (const void *)(long)ctx->data;

	if ((const void *)(eth + 1) > (const void *)(long)ctx->data_end ||
	    eth->h_proto != bpf_htons(BLAST_ETHERTYPE))
		return XDP_PASS;
	return bpf_redirect_map(&blast_xsks, ctx->rx_queue_index, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
