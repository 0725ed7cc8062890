/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xsk/pass.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/files.h"
#include "pass.skel.h"
#include "xdp/cause.h"
#include "xdp/hook.h"
#include "xdp/program.h"
#include "xsk/zero_copy.h"

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif

#define TRIES	10	/* another program came or went meanwhile */

struct pt_pass {
	__u32	ifindex;
	int	link_fd;	/* our link, or one that we also hold; -1: a
				 * foreign program */
};

static bool is_ours(const struct pt_hook *hook)
{
	return !strcmp(hook->name, PT_PASS_NAME) ||
	       !strcmp(hook->name, PT_PROGRAM_NAME);
}

/* attach returns the link, or -errno. */
static int attach(const struct pt_device *device)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	struct pass_bpf *skel = pass_bpf__open();
	int ret;

	if (!skel)
		return -errno;
	if (pt_zero_copy_needs_segs(device->mtu))
		bpf_program__set_flags(skel->progs.pagetrim_pass,
				       BPF_F_XDP_HAS_FRAGS);
	ret = pass_bpf__load(skel);
	if (!ret)
		ret = bpf_link_create(bpf_program__fd(skel->progs.pagetrim_pass),
				      device->ifindex, BPF_XDP, &opts);
	pass_bpf__destroy(skel);
	return ret;
}

/* look attaches our program, or holds the present link.  -EAGAIN: the program
 * changed meanwhile. */
static int look(struct pt_pass *p, const struct pt_device *device)
{
	struct pt_hook hook;
	int ret = pt_hook_look(&hook, device->ifindex);

	if (ret)
		return ret;
	if (hook.generic)
		return -EEXIST;
	if (!hook.prog_id) {
		ret = attach(device);
		if (ret == -EBUSY || ret == -EEXIST)
			return -EAGAIN;
		p->link_fd = ret;
		return ret < 0 ? ret : 0;
	}
	if (!is_ours(&hook))
		return 0;
	p->link_fd = pt_hook_link(device->ifindex, hook.prog_id);
	/* A program of libxdp's dispatcher or of `attach` may have no link. */
	return p->link_fd >= 0 || pt_pass_is_there(p) ? 0 : -EAGAIN;
}

static int fail(struct pt_error *err, const struct pt_device *device, int code)
{
	const char *name = device->name;

	if (code == -EEXIST)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: an XDP program "
				    "in generic mode has it, and zero copy "
				    "needs one in the driver ({zero-copy} off "
				    "does without)", name);
	if (code == -EPERM || code == -EACCES)
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: no privilege "
				    "for the XDP program that zero copy needs "
				    "(run with CAP_NET_ADMIN and CAP_BPF, as "
				    "the host's root has them, or {zero-copy} "
				    "off does without)", name);
	if (pt_files_are_few())
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot load the "
				    "XDP program that zero copy needs: %s, and "
				    "fewer than %d file descriptors are left "
				    "(raise ulimit -n)", name, strerror(-code),
				    PT_FILES_FEW);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: driver %s takes no XDP "
			    "program, which its zero copy needs: %s%s%s", name,
			    device->driver[0] ? device->driver : "?",
			    strerror(-code), pt_cause_text()[0] ? ": " : "",
			    pt_cause_text());
}

int pt_pass_open(struct pt_pass **out, const struct pt_device *device,
		 struct pt_error *err)
{
	struct pt_pass *p = calloc(1, sizeof(*p));
	int ret = -EAGAIN;

	pt_cause_begin();
	if (!p)
		return fail(err, device, -ENOMEM);
	p->ifindex = device->ifindex;
	p->link_fd = -1;
	for (int i = 0; i < TRIES && ret == -EAGAIN; i++)
		ret = look(p, device);
	if (ret) {
		free(p);
		return fail(err, device, ret);
	}
	*out = p;
	return 0;
}

void pt_pass_close(struct pt_pass *p)
{
	if (!p)
		return;
	if (p->link_fd >= 0)
		close(p->link_fd);
	free(p);
}

bool pt_pass_is_there(const struct pt_pass *p)
{
	struct pt_hook hook;

	if (p->link_fd >= 0)
		return pt_hook_link_runs(p->link_fd, 0);
	return pt_hook_look(&hook, p->ifindex) ||
	       (hook.prog_id && !hook.generic);
}
