/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A receiver on a device with a sender's link: it takes the link, and replaces
 * its program by its own. */
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

/* is_received_on: another process receives on the device, as far as we can
 * read. */
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

/* has_sockets: a living receiver's map has its sockets, also if the receiver is
 * in a container, whose leases are not visible.  If they cannot be read, there
 * may be sockets. */
static bool has_sockets(const struct pt_program *p)
{
	bool has[PT_QUEUES_MAX], any = false;

	if (pt_program_sockets(p, has))
		return true;
	for (__u32 q = 0; q < PT_QUEUES_MAX; q++)
		any |= has[q];
	return any;
}

int program_mark(struct pt_program *p, int map_fd)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), cnt = RING_CNT;
	const __u32 queue = PT_QUEUES_MAX - 1;
	int ret;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_XDP, XDP_RX_RING, &cnt, sizeof(cnt)) ||
	    bpf_map_update_elem(map_fd, &queue, &fd, BPF_ANY)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	p->mark_fd = fd;
	return 0;
}

void program_unmark(struct pt_program *p)
{
	if (p->mark_fd >= 0)
		close(p->mark_fd);	/* this removes it from the map */
	p->mark_fd = -1;
}

bool program_is_orphan(const struct pt_program *p)
{
	return !p->info.generic && !p->info.dispatcher &&
	       !p->constants.netns_cookie &&	/* else attach pinned the
						 * program */
	       !is_received_on(&p->device) &&
	       !has_sockets(p);
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
	is_free = found && !program_find(found) &&
		  found->info.id == hook->prog_id && program_is_orphan(found);
	program_free(found);
	return is_free;
}

/* replace fails if the link has another program than before by now; before -1:
 * any program. */
static int replace(int link, int before, int prog_fd)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts,
		    .flags = before < 0 ? 0 : BPF_F_REPLACE,
		    .old_prog_fd = before < 0 ? 0 : before);

	if (!bpf_link_update(link, prog_fd, &opts))
		return 0;
	return errno == EPERM ? -EBUSY : -errno;
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
	ret = before < 0 ? -errno : replace(link, before, prog_fd);
	if (ret) {
		if (before >= 0)
			close(before);
		close(link);
		return ret;
	}
	p->before_fd = before;
	return link;
}

void program_put_back(struct pt_program *p)
{
	if (p->before_fd >= 0)
		replace(p->link_fd, p->prog_fd, p->before_fd);
	program_keep(p);
}

void program_keep(struct pt_program *p)
{
	if (p->before_fd >= 0)
		close(p->before_fd);
	p->before_fd = -1;
}
