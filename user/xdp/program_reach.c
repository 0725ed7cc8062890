/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Finds out whether the device's program is still ours, or calls ours.
 *
 * libxdp changes its dispatcher by replacing it: the remaining programs are
 * attached to the new dispatcher before that is on the device, and a removed
 * program is not.
 */
#include "xdp/program_impl.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "xdp/hook.h"
#include "xdp/targets.h"

#define LOOKS	3	/* attempts while the dispatcher is being replaced */

/* device_id returns the number of the device's program, 0: none, or -errno. */
static __s64 device_id(const struct pt_program *p)
{
	__u32 id;
	int ret = bpf_xdp_query_id(p->device.ifindex, 0, &id);

	return ret ? ret : (__s64)id;
}

/* is_called is true also if the kernel does not report it, or if the dispatcher
 * keeps changing. */
static bool is_called(const struct pt_program *p)
{
	__u32 ids[PT_TARGETS_MAX];
	__s64 before, after = device_id(p);

	for (int i = 0; i < LOOKS && after > 0; i++) {
		int cnt = pt_targets_read(p->targets_fd, ids);

		if (cnt < 0)
			return true;
		before = after;
		after = device_id(p);
		if (after == before)
			return pt_targets_lead_to(p->info.id, after, ids, cnt);
	}
	return after && after != -ENODEV;
}

void program_reach_open(struct pt_program *p)
{
	__u32 ids[PT_TARGETS_MAX];
	int cnt;

	if (!p->info.dispatcher)
		return;
	p->targets_fd = pt_targets_open(p->info.id);
	cnt = p->targets_fd < 0 ? -1 : pt_targets_read(p->targets_fd, ids);
	/* A locked-down kernel may show links and none of their targets. */
	if (p->targets_fd >= 0 && cnt <= 0) {
		close(p->targets_fd);
		p->targets_fd = -1;
	}
}

bool pt_program_is_attached(const struct pt_program *p)
{
	__s64 id;

	if (p->link_fd >= 0)
		return pt_hook_link_runs(p->link_fd, p->info.id);
	if (p->targets_fd >= 0)
		return is_called(p);
	id = device_id(p);
	if (id < 0)
		return id != -ENODEV;
	return p->info.dispatcher ? id : id == p->info.id;
}
