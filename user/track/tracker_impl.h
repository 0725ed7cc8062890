/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tracker_impl: the common part of all trackers; for user/track alone.
 * A kind embeds struct pt_tracker as its first member. */
#ifndef TRACK_TRACKER_IMPL_H
#define TRACK_TRACKER_IMPL_H

#include <stdatomic.h>

#include "track/tracker.h"

struct pt_tracker_ops {
	const char *name;
	int (*arm)(struct pt_tracker *t, struct pt_error *err);
	int (*review)(struct pt_tracker *t, struct pt_error *err);
	int (*retarget)(struct pt_tracker *t,
			const struct pt_track_range *ranges, __u32 cnt,
			const struct pt_track_to *to, struct pt_error *err);
	int (*collect)(struct pt_tracker *t, const struct pt_track_to *to,
		       struct pt_error *err);
	__u32 (*others)(const struct pt_tracker *t);	/* NULL: none is known */
	void (*close)(struct pt_tracker *t);
};

struct pt_tracker {
	const struct pt_tracker_ops *ops;
	double odds;
	__u32 misses;
	bool is_armed;
	atomic_bool is_cancelled;
};

/* pt_track_report reports a run of any length, in pieces of one region each;
 * pt_track_report_coarse reports pages that may be the same. */
void pt_track_report(const struct pt_track_to *to, __u64 page_idx, __u64 cnt);
void pt_track_report_coarse(const struct pt_track_to *to, __u64 page_idx,
			    __u64 cnt);

#endif
