// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* By the writer itself, which tells what it wrote. */
#include "track/tracker_impl.h"

#include <errno.h>
#include <stdlib.h>

struct told {
	struct pt_tracker tracker;
	int (*collect)(void *arg, const struct pt_track_to *to,
		       const atomic_bool *is_cancelled, struct pt_error *err);
	void *arg;
};

static int told_arm(struct pt_tracker *t, struct pt_error *err)
{
	(void)t;
	(void)err;
	return 0;
}

static int told_collect(struct pt_tracker *t, const struct pt_track_to *to,
			struct pt_error *err)
{
	const struct told *told = (const struct told *)t;

	return told->collect(told->arg, to, &t->is_cancelled, err);
}

static void told_close(struct pt_tracker *t)
{
	free(t);
}

static const struct pt_tracker_ops told_ops = {
	.name = "told",
	.arm = told_arm,
	.collect = told_collect,
	.close = told_close,
};

int pt_tracker_open_told(struct pt_tracker **out,
			 int (*collect)(void *arg, const struct pt_track_to *to,
					const atomic_bool *is_cancelled,
					struct pt_error *err),
			 void *arg, struct pt_error *err)
{
	struct told *told = calloc(1, sizeof(*told));

	if (!told)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for a tracker");
	told->tracker.ops = &told_ops;
	told->collect = collect;
	told->arg = arg;
	*out = &told->tracker;
	return 0;
}
