// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* look: finds the queues of a map that have AF_XDP sockets.  Only a program can
 * read such a map, so this one runs once, attached to no device, with another
 * program's map in place of its own.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <pagetrim/maps.h>

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, PT_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} pt_xsks SEC(".maps");

__u8 pt_has_socket[PT_QUEUES_MAX];	/* the result, by queue: 0 or 1 */

SEC("xdp")
int pagetrim_look(struct xdp_md *ctx)
{
	(void)ctx;
	for (__u32 i = 0; i < PT_QUEUES_MAX; i++) {
		__u32 queue = i;	/* in a register the verifier can bound
					 * the loop */

		pt_has_socket[i] = !!bpf_map_lookup_elem(&pt_xsks, &queue);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
