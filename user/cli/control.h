/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* control: the control socket of a command that runs a transfer: at the user's path,
 * which is then linked in the folder of ctl_folder.h, or in that folder.  Threads:
 * one. */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include <jansson.h>

#include "cli/privilege.h"
#include "ctl/ctl.h"
#include "ctl/ctl_folder.h"

/* pt_control: zero is one that was not opened. */
struct pt_control {
	struct pt_ctl *ctl;	/* NULL: there is none */
	const char *path;	/* of the user; NULL: none, and no record stays */
	const char *name;	/* by which 'pagetrim ctl' finds it; NULL: none */
	bool has_folder;
	bool is_linked;
	char entry[PT_CTL_PATH_SZ];	/* in the folder */
};

/* pt_control_prepare comes before the privileges are dropped, to user.  It warns of
 * a folder that cannot be made. */
void pt_control_prepare(struct pt_control *c, const char *path, const char *name,
			const struct pt_user *user);

/* pt_control_open: errors as pt_ctl_open and pt_record_begin, of the user's path; in
 * the folder it only warns. */
int pt_control_open(struct pt_control *c, struct pt_error *err);

/* pt_control_identify adds the keys that tell which process answers. */
void pt_control_identify(const struct pt_control *c, json_t *o);

void pt_control_close(struct pt_control *c);	/* a second call does nothing */

#endif
