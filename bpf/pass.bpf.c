// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* pass: stands on a device whose zero-copy sockets only send.  Drivers serve
 * these only while some XDP program is attached; all that arrives is the
 * kernel's, as without it.
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
