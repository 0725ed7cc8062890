/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* occupant: finds the owner of the program on a device's XDP hook, for people.
 *
 * A program with a bpf_link ends with the last process that holds the link,
 * unless that is pinned; a program that `ip link` attached belongs to no
 * process.  Threads: any.
 */
#ifndef XDP_OCCUPANT_H
#define XDP_OCCUPANT_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include "xdp/device.h"
#include "xdp/hook.h"

struct pt_occupant {
	struct pt_hook hook;
	bool	by_link;	/* also false if the kernel does not report
				 * it */
	pid_t	pid;		/* a process that holds the link, or one of ours
				 * that uses the device; 0: not known */
	char	command[40];	/* of pid: "pagetrim receive", "nginx" */
};

/* pt_occupant_find searches the other processes, as far as it may read
 * /proc. */
void pt_occupant_find(struct pt_occupant *o, const struct pt_device *device);

/* pt_occupant_print writes the owner; pt_occupant_remedy writes a remedy that
 * harms no running process. */
void pt_occupant_print(const struct pt_occupant *o, char *text, size_t sz);
void pt_occupant_remedy(const struct pt_occupant *o, const char *dev,
			char *text, size_t sz);

#endif
