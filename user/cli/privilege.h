/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* privilege: drops privileges of this process for good.
 *
 *     as it was started --harden--> leaves no core, gains nothing by exec
 *                       --drop----> only the capabilities of a set, as a user
 *
 * Capabilities belong to a thread, so all calls must precede the first new
 * thread; later threads inherit the reduced set.  docs/security.md lists the
 * privileges that each agent keeps, and how long.
 */
#ifndef CLI_PRIVILEGE_H
#define CLI_PRIVILEGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

/* pt_user: the user to become. */
struct pt_user {
	bool is_set;		/* else: the user stays */
	bool has_groups;	/* supplementary groups are those of name */
	uid_t uid;
	gid_t gid;
	char name[64];		/* for messages, and for its groups */
};

/* pt_user_parse parses NAME|UID[:GID].  Without GID the group and the
 * supplementary groups come from the user's entry in the password database;
 * with GID there are no supplementary groups.
 *   -EINVAL  no such user, or a number without entry and without GID */
int pt_user_parse(struct pt_user *user, const char *text, struct pt_error *err);

/* pt_privilege_harden forbids core dumps, access by other processes of the same
 * user, and privileges gained by an exec.  It must precede the first read of a
 * key. */
int pt_privilege_harden(struct pt_error *err);

#define PT_CAP(cap)	(1ULL << (cap))

/* pt_privilege_drop keeps the capabilities of the set keep (PT_CAP bits), which
 * may name some that the process never had, and empties the inheritable, the
 * ambient and, where permitted, the bounding set; user NULL or not set: the
 * user stays.  It then compares the kernel's state with the requested one.
 *   -EBUSY   other threads run, which would keep theirs
 *   -EPERM   not permitted to become the user
 *   or as the system says; the caller must end the process */
int pt_privilege_drop(__u64 keep, const struct pt_user *user,
		      struct pt_error *err);

#endif
