/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json_text.h"
#include "cli/output.h"
#include "ctl/ctl_path.h"
#include "ctl/ctl_record.h"

const char *pt_record_result(int ret, const struct pt_error *err)
{
	if (!ret)
		return "completed";
	return err->exit == PT_EXIT_UNKNOWN ? "unknown" : "failed";
}

int pt_record_begin(const char *path, struct pt_error *err)
{
	int ret = path ? pt_ctl_path_check(path, err) : 0;

	if (ret || !path)
		return ret;
	ret = pt_ctl_record_clear(path, err);
	if (!ret || ret == -EEXIST)
		return ret;
	pt_out_warn("warning: %s ('pagetrim ctl' may tell of that one)",
		   err->text);
	return 0;
}

/* leave writes and releases o. */
static void leave(const char *path, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | PT_JSON_ASCII);
	int ret = text ? pt_ctl_record_write(path, text) : -ENOMEM;

	if (ret)
		pt_out_warn("warning: %s.last: %s ('pagetrim ctl' will not know "
			   "how this ended)", path, strerror(-ret));
	free(text);
	json_decref(o);
}

void pt_record_end(const char *path, json_t *o, int ret,
		   const struct pt_error *err, const char *guest)
{
	json_object_set_new(o, "result",
			    json_string(pt_record_result(ret, err)));
	json_object_set_new(o, "exit", json_integer(ret ? err->exit
							: PT_EXIT_OK));
	if (ret)
		json_object_set_new(o, "error-desc", pt_json_clean(err->text));
	if (guest)
		json_object_set_new(o, "guest", json_string(guest));
	leave(path, o);
}

void pt_record_handing(const char *path, const char *role, const char *guest)
{
	if (path)
		leave(path, json_pack("{s:s, s:s, s:s, s:s}", "role", role,
				      "result", "unknown", "error-desc",
				      "the process was killed while it handed "
				      "the guest over", "guest", guest));
}
