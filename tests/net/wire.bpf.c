// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* wire.bpf: the test wire's entry.  It counts every frame that arrives on a
 * device and passes it to the socket of its queue; a frame that the wire's
 * process does not receive was lost in between, as the difference shows. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define WIRE_QUEUES_MAX	64

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, WIRE_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} wire_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} wire_seen SEC(".maps");

SEC("xdp.frags")
int wire_rx(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *seen = bpf_map_lookup_elem(&wire_seen, &zero);

	if (seen)
		(*seen)++;
	return bpf_redirect_map(&wire_sockets, ctx->rx_queue_index, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
