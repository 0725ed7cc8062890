/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/hook.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

int pt_hook_look(struct pt_hook *hook, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = { 0 };
	__u32 info_sz = sizeof(info);
	int ret = bpf_xdp_query(ifindex, 0, &query), fd;

	memset(hook, 0, sizeof(*hook));
	if (ret)
		return ret;
	hook->prog_id = query.drv_prog_id ? query.drv_prog_id :
			query.hw_prog_id ? query.hw_prog_id :
			query.skb_prog_id;
	hook->generic = hook->prog_id && !query.drv_prog_id &&
			!query.hw_prog_id;
	fd = hook->prog_id ? bpf_prog_get_fd_by_id(hook->prog_id) : -1;
	if (fd < 0)
		return 0;
	if (!bpf_obj_get_info_by_fd(fd, &info, &info_sz))
		snprintf(hook->name, sizeof(hook->name), "%s", info.name);
	close(fd);
	return 0;
}

int pt_hook_link(__u32 ifindex, __u32 prog_id)
{
	__u32 id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = { 0 };
		__u32 info_sz = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue;	/* the link ended meanwhile */
		if (!bpf_obj_get_info_by_fd(fd, &info, &info_sz) &&
		    info.type == BPF_LINK_TYPE_XDP &&
		    info.prog_id == prog_id && info.xdp.ifindex == ifindex)
			return fd;
		close(fd);
	}
	return errno == EPERM ? -EPERM : -ENOENT;
}

bool pt_hook_link_runs(int link_fd, __u32 prog_id)
{
	struct bpf_link_info info = { 0 };
	__u32 info_sz = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &info_sz))
		return true;
	return info.xdp.ifindex && (!prog_id || info.prog_id == prog_id);
}
