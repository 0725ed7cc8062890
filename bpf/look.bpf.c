// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* look: finds out which queues of a map have AF_XDP sockets.  Only a program can
 * read that, so this one runs once, on no device, with another program's map in
 * place of its own.
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

__u8 pt_has_socket[PT_QUEUES_MAX];	/* the answer, by queue: 0, 1 */

SEC("xdp")
int pagetrim_look(struct xdp_md *ctx)
{
	(void)ctx;
	for (__u32 i = 0; i < PT_QUEUES_MAX; i++) {
		__u32 queue = i;	/* i stays in a register: the verifier
					 * sees that the loop ends */

		pt_has_socket[i] = !!bpf_map_lookup_elem(&pt_xsks, &queue);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
