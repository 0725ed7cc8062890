// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/tracker_impl.h"

#include <errno.h>
#include <pagetrim/check.h>

static void report(void (*fn)(void *arg, __u64 page_idx, __u32 cnt), void *arg,
		   __u64 page_idx, __u64 cnt)
{
	while (cnt) {
		__u64 room = PT_REGION_PAGES - page_idx % PT_REGION_PAGES;
		__u32 n = cnt < room ? cnt : room;

		fn(arg, page_idx, n);
		page_idx += n;
		cnt -= n;
	}
}

void pt_track_report(const struct pt_track_to *to, __u64 page_idx, __u64 cnt)
{
	report(to->dirty, to->arg, page_idx, cnt);
}

void pt_track_report_coarse(const struct pt_track_to *to, __u64 page_idx,
			    __u64 cnt)
{
	report(to->coarse ? to->coarse : to->dirty, to->arg, page_idx, cnt);
}

int pt_tracker_arm(struct pt_tracker *t, struct pt_error *err)
{
	int code;

	pt_check(!t->is_armed);
	code = t->ops->arm(t, err);
	t->is_armed = !code;
	return code;
}

int pt_tracker_review(struct pt_tracker *t, struct pt_error *err)
{
	return t->ops->review ? t->ops->review(t, err) : 0;
}

int pt_tracker_retarget(struct pt_tracker *t,
			const struct pt_track_range *ranges, __u32 cnt,
			const struct pt_track_to *to, struct pt_error *err)
{
	pt_check(t->is_armed);
	return t->ops->retarget ? t->ops->retarget(t, ranges, cnt, to, err) : 0;
}

int pt_tracker_collect(struct pt_tracker *t, const struct pt_track_to *to,
		       struct pt_error *err)
{
	pt_check(t->is_armed);
	if (atomic_load(&t->is_cancelled))
		return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
				    "the search for changes was cancelled");
	return t->ops->collect(t, to, err);
}

void pt_tracker_cancel(struct pt_tracker *t)
{
	atomic_store(&t->is_cancelled, true);
}

const char *pt_tracker_name(const struct pt_tracker *t)
{
	return t->ops->name;
}

double pt_tracker_odds(const struct pt_tracker *t)
{
	return t->odds;
}

__u32 pt_tracker_misses(const struct pt_tracker *t)
{
	return t->misses;
}

__u32 pt_tracker_others(const struct pt_tracker *t)
{
	return t->ops->others ? t->ops->others(t) : 0;
}

void pt_tracker_close(struct pt_tracker *t)
{
	if (t)
		t->ops->close(t);
}
