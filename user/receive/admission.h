/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* admission: what the transfers of one peer may have together, from OPEN until
 * nothing of them is left, storage that is waited for included: one peer leaves
 * room to others.
 *
 * A peer is known by its address, and by the name in its certificate, if it showed
 * one: each of the two is held to the same limits.  So several senders behind one
 * address share its limits, and one sender that has many addresses does not have as
 * many times its own.
 *
 * Threads: control's. */
#ifndef RECEIVE_ADMISSION_H
#define RECEIVE_ADMISSION_H

#include <stdbool.h>

#include "net/address.h"
#include "tls/tls.h"

#define PT_ADMISSION_MAX	128	/* of all peers */

struct pt_intake;

/* pt_peer_limits: of one peer at once; 0: any. */
struct pt_peer_limits {
	__u32	transfers;
	__u64	memory_sz;	/* announced, see pt_quota_memory_sz */
	__u64	files_sz;	/* along, see pt_quota_file_sz */
};

/* pt_admitted: one transfer. */
struct pt_admitted {
	bool	is_in;
	__u8	ip[16];
	char	name[PT_TLS_NAME_SZ];	/* ""; none */
	__u64	memory_sz;
	__u64	files_sz;
};

/* pt_admission: all zero but limits: none is in.  The caller's. */
struct pt_admission {
	struct pt_peer_limits limits;
	struct pt_admitted all[PT_ADMISSION_MAX];
};

/* pt_admission_enter: one more transfer of the peer at that address, whatever its
 * port, with that name.  *out is set if it is let in, to pt_admission_leave.
 *   -EDQUOT  its address has as many as it may, or its name; err says which
 *   -ENOSPC  PT_ADMISSION_MAX of all */
int pt_admission_enter(struct pt_admission *a, struct pt_admitted **out,
		       const struct pt_address *peer, const char *name,
		       struct pt_error *err);

/* pt_admission_memory and pt_admission_file: so many bytes more of the transfer;
 * what: for messages.  -EDQUOT: too many for its address, or its name. */
int pt_admission_memory(const struct pt_admission *a, struct pt_admitted *t,
			__u64 sz, struct pt_error *err);
int pt_admission_file(const struct pt_admission *a, struct pt_admitted *t,
		      __u64 sz, const char *what, struct pt_error *err);

/* pt_admission_leave: with all that it has.  NULL is allowed. */
void pt_admission_leave(struct pt_admitted *t);

/* pt_admission_lane_cnt: lanes on the queue of those of all that are of i's peer, by
 * its address or by its name: whichever has more. */
__u32 pt_admission_lane_cnt(const struct pt_intake *i,
			    struct pt_intake *const *all, __u32 all_cnt,
			    __u16 queue);

#endif
