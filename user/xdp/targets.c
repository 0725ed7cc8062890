/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/targets.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "targets.skel.h"

int pt_targets_open(__u32 prog_id)
{
	struct targets_bpf *skel = targets_bpf__open();
	int ret;

	if (!skel)
		return -errno;
	skel->rodata->pt_extension = prog_id;
	ret = targets_bpf__load(skel);
	if (!ret) {
		ret = bpf_link_create(
			bpf_program__fd(skel->progs.pagetrim_target), 0,
			BPF_TRACE_ITER, NULL);
		if (ret < 0)
			ret = -errno;
	}
	targets_bpf__destroy(skel);
	return ret;
}

int pt_targets_read(int targets_fd, __u32 ids[PT_TARGETS_MAX])
{
	const size_t max_sz = PT_TARGETS_MAX * sizeof(ids[0]);
	int fd = bpf_iter_create(targets_fd), ret;
	size_t used = 0;
	ssize_t sz = 1;

	if (fd < 0)
		return -errno;
	while (sz > 0 && used < max_sz) {
		sz = read(fd, (char *)ids + used, max_sz - used);
		if (sz > 0)
			used += sz;
	}
	ret = sz < 0 ? -errno : sz > 0 ? -E2BIG : (int)(used / sizeof(ids[0]));
	close(fd);
	return ret;
}

bool pt_targets_lead_to(__u32 prog_id, __u32 device_id, const __u32 *ids,
			int cnt)
{
	if (!device_id || device_id == prog_id)
		return device_id;
	for (int i = 0; i < cnt; i++)
		if (ids[i] == device_id)
			return true;
	return false;
}
