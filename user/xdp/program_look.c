/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The queues that have a receiver's socket, of any process.  Leases show that only
 * where they are visible.  The test changes nothing in the map. */
#include "xdp/program_impl.h"

#include <errno.h>
#include <linux/if_ether.h>

#include <bpf/bpf.h>

#include "look.skel.h"

int pt_program_sockets(const struct pt_program *p, bool has[PT_QUEUES_MAX])
{
	static char frame[ETH_ZLEN];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = sizeof(frame), .repeat = 1);
	struct look_bpf *skel = look_bpf__open();
	int ret;

	if (!skel)
		return -errno;
	ret = bpf_map__reuse_fd(skel->maps.pt_xsks, p->map_fd[MAP_XSKS]);
	if (!ret)
		ret = look_bpf__load(skel);
	if (!ret)
		ret = bpf_prog_test_run_opts(
			bpf_program__fd(skel->progs.pagetrim_look), &opts);
	for (__u32 q = 0; !ret && q < PT_QUEUES_MAX; q++)
		has[q] = skel->bss->pt_has_socket[q];
	look_bpf__destroy(skel);
	return ret;
}
