/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A receiver that comes to a device where a sender's link is: it takes the link,
 * and puts its own program in the place of what runs there. */
#include "xdp/program_impl.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "xdp/hook.h"
#include "xdp/lease.h"

#ifndef SOL_XDP
#define SOL_XDP	283
#endif

#define RING_CNT	64

/* is_received_on: by another process than this, for all we can read. */
static bool is_received_on(const struct pt_device *device)
{
	struct pt_lease_owner owner;

	for (__u32 q = 0; q < PT_QUEUES_MAX; q++) {
		int ret = pt_lease_owner(device, q, &owner);

		if (ret < 0 || (ret && owner.pid != getpid() &&
				!strcmp(owner.role, "receive")))
			return true;
	}
	return false;
}

/* has_sockets: the map of a living receiver's program has its sockets, also of
 * one in a container, whose leases are not to be seen.  Of such a map the kernel
 * tells only whether there is room for another socket. */
static bool has_sockets(int map_fd)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), cnt = RING_CNT;
	bool has = fd < 0 || setsockopt(fd, SOL_XDP, XDP_RX_RING, &cnt,
					sizeof(cnt));

	for (__u32 q = 0; !has && q < PT_QUEUES_MAX; q++) {
		has = bpf_map_update_elem(map_fd, &q, &fd, BPF_NOEXIST);
		if (!has)
			bpf_map_delete_elem(map_fd, &q);
	}
	if (fd >= 0)
		close(fd);
	return has;
}

bool program_is_orphan(const struct pt_program *p)
{
	return !p->info.generic && !p->info.dispatcher &&
	       !p->constants.netns_cookie &&	/* else attach pinned it */
	       !is_received_on(&p->device) &&
	       !has_sockets(p->map_fd[MAP_XSKS]);
}

/* is_free_to_take: the program on the hook serves no receiver. */
static bool is_free_to_take(const struct pt_hook *hook,
			    const struct pt_device *device)
{
	struct pt_program *found;
	bool is_free;

	if (hook->generic)
		return false;
	if (!strcmp(hook->name, PT_PASS_NAME))
		return true;
	if (strcmp(hook->name, PT_PROGRAM_NAME))
		return false;
	found = program_new(device);
	is_free = found && !program_find(found) && program_is_orphan(found);
	program_free(found);
	return is_free;
}

int program_take_link(struct pt_program *p, int prog_fd)
{
	struct pt_hook hook;
	int before, link, ret;

	if (pt_hook_look(&hook, p->device.ifindex) ||
	    !is_free_to_take(&hook, &p->device))
		return -EBUSY;
	link = pt_hook_link(p->device.ifindex, hook.prog_id);
	if (link < 0)
		return -EBUSY;
	before = bpf_prog_get_fd_by_id(hook.prog_id);
	ret = before < 0 ? -errno : bpf_link_update(link, prog_fd, NULL);
	if (ret) {
		if (before >= 0)
			close(before);
		close(link);
		return ret;
	}
	p->before_fd = before;
	return link;
}

void program_keep(struct pt_program *p)
{
	if (p->before_fd >= 0)
		close(p->before_fd);
	p->before_fd = -1;
}
