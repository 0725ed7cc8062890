// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* pass: the program for a device whose zero-copy sockets only send.  Drivers
 * serve these only while some XDP program is attached.  All arriving frames go
 * to the kernel, as without it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pagetrim_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
