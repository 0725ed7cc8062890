/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* hook: what runs on a device's XDP hook, and the bpf_link by which it does.
 *
 * A link lives until its last holder ends, however that ends.  So two processes
 * that need a program on one device share one link: who comes second takes it by
 * its id, and may put another program in its place.
 * Threads: any.
 */
#ifndef PT_XDP_HOOK_H
#define PT_XDP_HOOK_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#define PT_PASS_NAME	"pagetrim_pass"	/* of the program in bpf/pass.bpf.c */

struct pt_hook {
	__u32	prog_id;	/* 0: nothing runs there */
	bool	generic;	/* not in the driver */
	char	name[BPF_OBJ_NAME_LEN];	/* of the program; "": not told */
};

/* pt_hook_look fills hook.  -errno: the kernel does not say. */
int pt_hook_look(struct pt_hook *hook, __u32 ifindex);

/* pt_hook_link returns a descriptor of the link by which prog_id runs on the
 * device, the caller's to close.  -ENOENT: it runs by none; -EPERM: no
 * CAP_SYS_ADMIN. */
int pt_hook_link(__u32 ifindex, __u32 prog_id);

/* pt_hook_link_runs tells whether the link still holds the device, with program
 * prog_id (0: with any).  Needs no privilege; true if the kernel does not say. */
bool pt_hook_link_runs(int link_fd, __u32 prog_id);

#endif
