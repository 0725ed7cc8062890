// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/control.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/json_text.h"
#include "cli/output.h"
#include "ctl/ctl_record.h"

static void warn(const char *why)
{
	pt_out_warn("warning: %s ('pagetrim ctl' does not list this process)",
		   why);
}

void pt_control_prepare(struct pt_control *c, const char *path, const char *name,
			const struct pt_user *user)
{
	struct pt_error err;

	*c = (struct pt_control){ .path = path, .name = name };
	c->has_folder = !pt_ctl_folder_make(user->is_set ? user->uid : geteuid(),
					    user->is_set ? user->gid : getegid(),
					    &err);
	if (!c->has_folder)
		warn(err.text);
}

/* link_entry: the socket is at the user's path. */
static void link_entry(struct pt_control *c)
{
	int ret = pt_ctl_folder_link(c->entry, c->path);
	char text[PT_CTL_PATH_SZ + 128];

	c->is_linked = !ret;
	if (!ret)
		return;
	snprintf(text, sizeof(text), "%s: %s", c->entry, strerror(-ret));
	warn(text);
}

int pt_control_open(struct pt_control *c, struct pt_error *err)
{
	struct pt_error why;
	int ret = c->path ? pt_ctl_open(&c->ctl, c->path, err) : 0;

	/* That of a process that had the path since pt_record_begin. */
	if (c->ctl && pt_ctl_record_clear(c->path, err) == -EEXIST)
		ret = -EEXIST;
	if (ret || !c->has_folder)
		return ret;
	pt_ctl_folder_sweep();
	pt_ctl_folder_path(c->entry);
	if (c->path)
		link_entry(c);
	else if (pt_ctl_open(&c->ctl, c->entry, &why))
		warn(why.text);
	return 0;
}

void pt_control_identify(const struct pt_control *c, json_t *o)
{
	json_object_set_new(o, "pid", json_integer(getpid()));
	if (c->name)
		json_object_set_new(o, "name", pt_json_clean(c->name));
}

void pt_control_close(struct pt_control *c)
{
	if (c->is_linked)
		unlink(c->entry);
	c->is_linked = false;
	pt_ctl_close(c->ctl);
	c->ctl = NULL;
}
