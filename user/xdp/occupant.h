/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* occupant: whose program has a device's XDP hook, for people.
 *
 * A program that runs by a bpf_link ends with the last process that holds the
 * link, unless that is pinned; one that `ip link` attached is no process's.
 * Threads: any.
 */
#ifndef PT_XDP_OCCUPANT_H
#define PT_XDP_OCCUPANT_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include "xdp/device.h"
#include "xdp/hook.h"

struct pt_occupant {
	struct pt_hook hook;
	bool	by_link;	/* false where the kernel does not say, too */
	pid_t	pid;		/* a process that holds the link, or one of ours
				 * that uses the device; 0: not known */
	char	command[40];	/* of pid: "pagetrim receive", "nginx" */
};

/* pt_occupant_find: of other processes than this one.  It reads as much of /proc
 * as it may, and tells what it finds. */
void pt_occupant_find(struct pt_occupant *o, const struct pt_device *device);

/* pt_occupant_print writes who it is; pt_occupant_remedy writes what to do, which
 * takes nothing from anybody who runs. */
void pt_occupant_print(const struct pt_occupant *o, char *text, size_t sz);
void pt_occupant_remedy(const struct pt_occupant *o, const char *dev,
			char *text, size_t sz);

#endif
