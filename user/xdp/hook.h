/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* hook: the program on a device's XDP hook, and its bpf_link.
 *
 * A link lives until its last holder ends, in whatever way.  So two processes
 * that need a program on one device share one link: the second one opens it by
 * its id, and may replace its program.  Threads: any.
 */
#ifndef XDP_HOOK_H
#define XDP_HOOK_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#define PT_PASS_NAME	"pagetrim_pass"	/* the program in bpf/pass.bpf.c */

struct pt_hook {
	__u32	prog_id;	/* 0: there is no program */
	bool	generic;	/* not in the driver */
	char	name[BPF_OBJ_NAME_LEN];	/* of the program; "": not reported */
};

/* pt_hook_look fills hook.  -errno: the kernel does not report it. */
int pt_hook_look(struct pt_hook *hook, __u32 ifindex);

/* pt_hook_link returns a descriptor of prog_id's link on the device, which the
 * caller closes.  -ENOENT: it has no link; -EPERM: no CAP_SYS_ADMIN. */
int pt_hook_link(__u32 ifindex, __u32 prog_id);

/* pt_hook_link_runs returns whether the link is still on the device, with
 * program prog_id (0: any).  It needs no privilege, and returns true if the
 * kernel does not report it. */
bool pt_hook_link_runs(int link_fd, __u32 prog_id);

#endif
