/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pass: an XDP program on a device whose zero-copy sockets only send, since
 * drivers serve such sockets only while a program is attached.  Any present
 * program suffices; else one that passes all frames is attached by an unpinned
 * bpf_link, which ends with its last holder.
 *
 * Attaching resets many cards: the carrier is gone for seconds.  Threads: one.
 */
#ifndef XSK_PASS_H
#define XSK_PASS_H

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

/* pt_pass_is_there returns false once the device has no such program.  It needs
 * no privilege. */
bool pt_pass_is_there(const struct pt_pass *p);

#endif
