/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* live_internal: shared by live.c, the thread and its jobs, and live_look.c, the
 * search for pages. */
#ifndef LIVE_LIVE_INTERNAL_H
#define LIVE_LIVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "live/live.h"

struct pt_live {
	struct pt_live_cfg cfg;
	pthread_t thread;
	pthread_mutex_t lock;		/* of job, is_done, report */
	pthread_cond_t filled;		/* job or is_abandoned was set */
	enum pt_live_job job;
	__u64 due_ns;			/* of job; by pt_clock_ns */
	bool is_done;			/* job has a result: */
	int result;
	struct pt_error error;
	atomic_bool is_abandoned;	/* the thread ends; set last */
	bool keeps;			/* and does not resume the guest */
	atomic_bool has_ended;
	struct pt_live_report report;

	/* For the thread, and for the other one between two jobs: */
	struct pt_tracker *tracker;	/* set under the lock */
	__u64 armed_ns;
	__u64 stopped_ns;
	bool is_measured;		/* report.compare_ns is */
	__u64 sample;			/* the next region that is compared only
					 * to measure */
	bool is_begun;			/* the guest must be resumed */
	unsigned throttle;		/* percent that were asked for */
	int state_fd;
	struct pt_track_range *ranges;	/* loose ones: the mappings of the source
					 * when they were last read */
	__u32 range_cnt, range_room;
	__u64 region_cnt;
	__u64 *reported;		/* a bit per page: reported in this look */
	__u64 *suspects;		/* a bit per page: reported in any look */
	struct pt_dirty *found;
	__u64 found_cnt;
};

/* pt_live_mappings reads the source's mappings anew, as far as they are in its
 * segments. */
int pt_live_mappings(struct pt_live *l, struct pt_error *err);

/* pt_live_choose opens and arms the tracker. */
int pt_live_choose(struct pt_live *l, struct pt_error *err);

/* pt_live_look finds pages that were written since the last look. */
int pt_live_look(struct pt_live *l, struct pt_error *err);

/* pt_live_recheck is the look at the stop. */
int pt_live_recheck(struct pt_live *l, struct pt_error *err);

#endif
