// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* By digest: every look reads the memory and compares it with the digests of
 * the pages as they were sent. */
#include "track/tracker_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "track/compare.h"

struct by_digest {
	struct pt_tracker tracker;
	struct pt_compare_cfg cfg;
};

/* Nothing is read: a page that was not sent yet has no digest to equal. */
static int digest_arm(struct pt_tracker *t, struct pt_error *err)
{
	(void)t;
	(void)err;
	return 0;
}

static int digest_collect(struct pt_tracker *t, const struct pt_track_to *to,
			  struct pt_error *err)
{
	struct by_digest *d = (struct by_digest *)t;

	d->cfg.to = *to;
	return pt_compare_run(&d->cfg, &t->is_cancelled, err);
}

static void digest_close(struct pt_tracker *t)
{
	free(t);
}

static const struct pt_tracker_ops digest_ops = {
	.name = "digest",
	.arm = digest_arm,
	.collect = digest_collect,
	.close = digest_close,
};

int pt_tracker_open_digest(struct pt_tracker **out,
			   const struct pt_track_target *target,
			   struct pt_error *err)
{
	struct by_digest *d = calloc(1, sizeof(*d));

	if (!d)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for a tracker");
	d->tracker.ops = &digest_ops;
	d->tracker.odds = 0x1p-64;
	d->cfg = (struct pt_compare_cfg){
		.source = target->src,
		.layout = target->layout,
		.digests = target->digests,
		.digest_key = target->digest_key,
		.wake_fd = -1,
	};
	*out = &d->tracker;
	return 0;
}
