/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* targets: the programs to which an extension program (freplace) is attached,
 * as programs behind libxdp's dispatcher are to the dispatcher.
 *
 * The kernel lists links by number only with CAP_SYS_ADMIN.  The list here is a
 * kernel iterator: it is made with privilege, and read without.  Threads: any.
 */
#ifndef XDP_TARGETS_H
#define XDP_TARGETS_H

#include <linux/types.h>
#include <stdbool.h>

#define PT_TARGETS_MAX	64	/* per program */

/* pt_targets_open returns a descriptor of the list of prog_id's targets, which
 * the caller closes.  -EPERM: no privilege, or the kernel loads no programs of
 * that type; else the kernel's error. */
int pt_targets_open(__u32 prog_id);

/* pt_targets_read writes the targets' numbers, up to PT_TARGETS_MAX, and
 * returns their count; -E2BIG: there are more; else -errno.  It needs no
 * privilege. */
int pt_targets_read(int targets_fd, __u32 ids[PT_TARGETS_MAX]);

/* pt_targets_lead_to: a device with program device_id (0: none) runs prog_id,
 * whose targets are ids. */
bool pt_targets_lead_to(__u32 prog_id, __u32 device_id, const __u32 *ids,
			int cnt);

#endif
