/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* admission: the quotas of one peer's transfers together, from OPEN until all
 * their resources are free, including storage that is waited for, so that one
 * peer leaves room for others.
 *
 * A peer is identified by its address, and by the name in its certificate, if
 * it has one; both have the same limits.  So several senders behind one address
 * share its limits, and one sender with many addresses does not multiply its
 * own.
 *
 * Threads: control's. */
#ifndef RECEIVE_ADMISSION_H
#define RECEIVE_ADMISSION_H

#include <stdbool.h>

#include "net/address.h"
#include "tls/tls.h"

#define PT_ADMISSION_MAX	128	/* of all peers */

struct pt_intake;

/* pt_peer_limits: the limits of one peer; 0: any. */
struct pt_peer_limits {
	__u32	transfers;
	__u64	memory_sz;	/* announced, see pt_quota_memory_sz */
	__u64	files_sz;	/* of files, see pt_quota_file_sz */
};

/* pt_admitted: one transfer. */
struct pt_admitted {
	bool	is_in;
	__u64	transfer_id;
	__u8	ip[16];
	char	name[PT_TLS_NAME_SZ];	/* ""; none */
	char	share[PT_TLS_NAME_SZ];	/* see pt_admission_share; "": none */
	__u64	share_sz;		/* of all with that share; 0: any */
	__u64	memory_sz;
	__u64	files_sz;
};

/* pt_admission: all zero except limits: no transfer.  The caller owns it. */
struct pt_admission {
	struct pt_peer_limits limits;
	struct pt_admitted all[PT_ADMISSION_MAX];
};

/* pt_admission_enter admits one more transfer of the peer with that address, at
 * any port, and that name.  If it is admitted, *out is set, to
 * pt_admission_leave.
 *   -EDQUOT  its address or its name is at its limit; err names which
 *   -ENOSPC  PT_ADMISSION_MAX of all */
int pt_admission_enter(struct pt_admission *a, struct pt_admitted **out,
		       const struct pt_address *peer, const char *name,
		       __u64 transfer_id, struct pt_error *err);

/* pt_admission_check: no admitted transfer has that id.  -EEXIST: one has. */
int pt_admission_check(const struct pt_admission *a, __u64 transfer_id,
		       struct pt_error *err);

/* pt_admission_share: all transfers with that share, which is not "", may have sz
 * bytes of memory and files together; 0: any. */
void pt_admission_share(struct pt_admitted *t, const char *share, __u64 sz);

/* pt_admission_memory and pt_admission_file add bytes of the transfer.  Messages
 * name the file by what.  -EDQUOT: too many bytes for its address, name or share. */
int pt_admission_memory(const struct pt_admission *a, struct pt_admitted *t,
			__u64 sz, struct pt_error *err);
int pt_admission_file(const struct pt_admission *a, struct pt_admitted *t,
		      __u64 sz, const char *what, struct pt_error *err);

/* pt_admission_leave removes the transfer with all its bytes.  NULL is
 * allowed. */
void pt_admission_leave(struct pt_admitted *t);

/* pt_admission_lane_cnt returns the lanes on the queue of all sessions with i's
 * address, or of all with i's certificate name, whichever are more. */
__u32 pt_admission_lane_cnt(const struct pt_intake *i,
			    struct pt_intake *const *all, __u32 all_cnt,
			    __u16 queue);

#endif
