/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* admission: how many transfers each address has, from OPEN until nothing of them is
 * left, storage that is waited for included: one address leaves places to others.
 * Threads: control's. */
#ifndef TRANSFER_ADMISSION_H
#define TRANSFER_ADMISSION_H

#include "control/address.h"

#define PT_ADMISSION_MAX	128	/* of all addresses */

/* pt_admission: all zero: none is in.  The caller's. */
struct pt_admission {
	__u8	ips[PT_ADMISSION_MAX][16];
	__u32	cnt;
};

/* pt_admission_enter: one more of the peer's, whatever its port.
 *   -EDQUOT  it has max already (0: any number)
 *   -ENOSPC  PT_ADMISSION_MAX of all */
int pt_admission_enter(struct pt_admission *a, const struct pt_address *peer,
		       __u32 max, struct pt_error *err);

/* pt_admission_leave: one less of the address, which has one. */
void pt_admission_leave(struct pt_admission *a, const __u8 ip[16]);

#endif
