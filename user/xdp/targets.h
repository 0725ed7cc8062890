/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* targets: the programs that an extension program (freplace) is attached to, as
 * those of libxdp's dispatcher are to the dispatcher.
 *
 * The kernel lists links by number to CAP_SYS_ADMIN alone.  The list here is an
 * iterator of the kernel's: it is made with privilege, and read without.
 * Threads: any.
 */
#ifndef PT_XDP_TARGETS_H
#define PT_XDP_TARGETS_H

#include <linux/types.h>
#include <stdbool.h>

#define PT_TARGETS_MAX	64	/* of one program */

/* pt_targets_open returns a descriptor of the list of prog_id's targets, the
 * caller's to close.  -EPERM: no privilege, or the kernel loads no programs of
 * that type; else what it says. */
int pt_targets_open(__u32 prog_id);

/* pt_targets_read writes the targets' numbers, up to PT_TARGETS_MAX, and returns
 * how many; -E2BIG: there are more; else -errno.  Needs no privilege. */
int pt_targets_read(int targets_fd, __u32 ids[PT_TARGETS_MAX]);

/* pt_targets_lead_to: whoever runs device_id (0: nothing) runs prog_id, whose
 * targets are ids. */
bool pt_targets_lead_to(__u32 prog_id, __u32 device_id, const __u32 *ids,
			int cnt);

#endif
