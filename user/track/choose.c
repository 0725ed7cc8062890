// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/tracker.h"

#include <errno.h>

static bool is_final(int code)
{
	return !code || code == -ESRCH || code == -EINVAL || code == -ENOMEM;
}

int pt_tracker_open(struct pt_tracker **out,
		    const struct pt_track_target *target, int *refused,
		    struct pt_error *why, struct pt_error *err)
{
	int code;

	*refused = 0;
	if (target->pid)
		code = pt_tracker_open_wp(out, target->pid, target->ranges,
					  target->range_cnt, NULL, why);
	else
		code = pt_error_set(why, PT_EXIT_HOST, -EOPNOTSUPP, "the "
				    "process that writes the memory is not "
				    "known");
	if (is_final(code) || !target->src) {
		if (code)
			pt_error_set(err, why->exit, code, "%s", why->text);
		return code;
	}
	*refused = code;
	return pt_tracker_open_digest(out, target, err);
}
