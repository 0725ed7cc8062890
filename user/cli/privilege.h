/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* privilege: what this process may do, given away for good.
 *
 *     as it was started --harden--> leaves no core, gains nothing by exec
 *                       --drop----> only the capabilities of a set, as a user
 *
 * Capabilities are a thread's own, so all of this is for before the first
 * thread is started; what is started later has no more.  docs/security.md says
 * which agent keeps what, and when.
 */
#ifndef CLI_PRIVILEGE_H
#define CLI_PRIVILEGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

/* pt_user: who to run as. */
struct pt_user {
	bool is_set;		/* else: as whoever runs it */
	bool has_groups;	/* supplementary ones are those of name */
	uid_t uid;
	gid_t gid;
	char name[64];		/* for people, and for its groups */
};

/* pt_user_parse takes NAME|UID[:GID].  Without GID the group is the one of the
 * user's entry in the password database, and so are the supplementary groups;
 * with it there are none.
 *   -EINVAL  no such user, or a number without entry and without GID */
int pt_user_parse(struct pt_user *user, const char *text, struct pt_error *err);

/* pt_privilege_harden: no core dump, no look into this process by others of
 * the same user, and nothing gained by an exec.  To be called before the first
 * key is read. */
int pt_privilege_harden(struct pt_error *err);

#define PT_CAP(cap)	(1ULL << (cap))

/* pt_privilege_drop keeps the capabilities of the set keep (PT_CAP bits), which
 * may name some that the process never had, and empties the inheritable, the
 * ambient and, where that is permitted, the bounding set; user NULL or not set:
 * stays who it is.  What the kernel then says is compared with what was asked.
 *   -EBUSY   other threads run, which would keep theirs
 *   -EPERM   not permitted to become the user
 *   or as the system says; the caller must end the process */
int pt_privilege_drop(__u64 keep, const struct pt_user *user,
		      struct pt_error *err);

#endif
