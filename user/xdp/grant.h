/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* grant: the user, or the group, who may receive on a device by the program that
 * pagetrim attach pinned.  They get the pins, all but the link, and the leases of
 * the device's queues. */
#ifndef XDP_GRANT_H
#define XDP_GRANT_H

#include <stdbool.h>
#include <sys/types.h>

struct pt_grant {
	bool	is_set;		/* else root alone may */
	bool	is_group;	/* all users of the group gid may */
	uid_t	uid;		/* root's, if is_group */
	gid_t	gid;		/* if is_group */
};

/* pt_grant_mode returns the mode of a file for them, mode being a user's:
 * 0600 becomes 0660 for a group. */
static inline mode_t pt_grant_mode(const struct pt_grant *grant, mode_t mode)
{
	return grant->is_group ? mode | mode >> 3 : mode;
}

/* pt_grant_gid returns the group of such a file; the default leaves it as it
 * is. */
static inline gid_t pt_grant_gid(const struct pt_grant *grant)
{
	return grant->is_group ? grant->gid : (gid_t)-1;
}

#endif
