/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pass: an XDP program on the device of zero-copy sockets that only send, which
 * drivers serve only while there is one.  One that is there already will do,
 * whosever it is; else one that passes all is attached by an unpinned bpf_link,
 * which ends with its last holder.
 *
 * Attaching resets many cards: the carrier goes, and comes back after seconds.
 * Threads: none share a pass.
 */
#ifndef PT_XDP_PASS_H
#define PT_XDP_PASS_H

#include <stdbool.h>
#include <pagetrim/error.h>
#include "xdp/device.h"

struct pt_pass;

/* pt_pass_open makes sure that a native program runs on the device.  On success
 * returns 0 and *out is the caller's, to pt_pass_close.  Else:
 *   -EEXIST  a program in generic mode has the hook
 *   -EPERM   no CAP_NET_ADMIN, CAP_BPF
 *   or as the driver says */
int pt_pass_open(struct pt_pass **out, const struct pt_device *device,
		 struct pt_error *err);
void pt_pass_close(struct pt_pass *p);	/* NULL is fine */

/* pt_pass_is_there: false once the device has no such program any more.  Needs
 * no privilege. */
bool pt_pass_is_there(const struct pt_pass *p);

#endif
