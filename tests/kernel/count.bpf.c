// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* count: a foreign XDP program on the same device: it counts all frames and
 * passes them on. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} count_frames SEC(".maps");

SEC("xdp.frags")
int count(struct xdp_md *ctx)
{
	const __u32 key = 0;
	__u64 *frames = bpf_map_lookup_elem(&count_frames, &key);

	(void)ctx;
	if (frames)
		__sync_fetch_and_add(frames, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
