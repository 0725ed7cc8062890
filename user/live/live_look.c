/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Looks for pages that must be sent again. */
#include "live/live_internal.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "track/compare.h"

static __u64 word_cnt(const struct pt_live *l)
{
	return l->region_cnt * PT_REGION_WORDS;
}

static __u64 count(const struct pt_live *l, const __u64 *pages)
{
	__u64 cnt = 0;

	for (__u64 i = 0; i < word_cnt(l); i++)
		cnt += __builtin_popcountll(pages[i]);
	return cnt;
}

/* report receives pages from the tracker. */
static void report(void *arg, __u64 page_idx, __u32 cnt)
{
	struct pt_live *l = arg;

	for (__u64 i = page_idx; i < page_idx + cnt; i++) {
		l->reported[i / 64] |= 1ULL << (i % 64);
		l->suspects[i / 64] |= 1ULL << (i % 64);
	}
}

static void find(void *arg, __u64 page_idx, __u32 cnt)
{
	struct pt_live *l = arg;

	l->found_cnt += pt_dirty_set(l->found, page_idx, cnt);
}

/* compare finds those of the pages, or of all (NULL), whose content is not what
 * was sent. */
static int compare(struct pt_live *l, const __u64 *pages, struct pt_error *err)
{
	const struct pt_compare_cfg cfg = {
		.source = l->cfg.source,
		.layout = l->cfg.layout,
		.digests = l->cfg.digests,
		.digest_key = l->cfg.digest_key,
		.pages = pages,
		.to = { .dirty = find, .arg = l },
		.wake_fd = -1,
	};
	__u64 began_ns = pt_clock_ns();
	__u64 cnt = pages ? count(l, pages) : l->region_cnt * PT_REGION_PAGES;
	int ret = cnt ? pt_compare_run(&cfg, &l->is_abandoned, err) : 0;

	if (!ret && cnt >= PT_COMPARE_FEW)
		l->report.compare_ns = (pt_clock_ns() - began_ns) / cnt;
	return ret;
}

int pt_live_choose(struct pt_live *l, struct pt_error *err)
{
	const struct pt_track_target target = {
		.pid = l->cfg.tracker == PT_LIVE_TRACKER_DIGEST ? 0 : l->cfg.pid,
		.ranges = l->cfg.ranges,
		.range_cnt = l->cfg.range_cnt,
		.src = l->cfg.source,
		.layout = l->cfg.layout,
		.digests = l->cfg.digests,
		.digest_key = l->cfg.digest_key,
	};
	__u64 began_ns = pt_clock_ns();
	struct pt_error why = { .exit = PT_EXIT_OK };
	int refused = 0, ret;

	ret = l->cfg.tracker == PT_LIVE_TRACKER_WP
		? pt_tracker_open_wp(&l->tracker, l->cfg.pid, l->cfg.ranges,
				     l->cfg.range_cnt, NULL, err)
		: pt_tracker_open(&l->tracker, &target, &refused, &why, err);
	if (!ret)
		ret = pt_tracker_arm(l->tracker, err);
	if (ret)
		return ret;
	l->is_digest = pt_tracker_odds(l->tracker) > 0;
	l->report.tracker = pt_tracker_name(l->tracker);
	l->report.odds = pt_tracker_odds(l->tracker);
	l->report.misses = pt_tracker_misses(l->tracker) &
			   (PT_TRACK_MISSES_FILE_WRITES |
			    PT_TRACK_MISSES_MAPPERS);
	l->report.arm_ns = pt_clock_ns() - began_ns;
	if (refused)
		strcpy(l->report.why, why.text);
	return 0;
}

/* collect has the tracker report.  A digest tracker's report is what is found. */
static int collect(struct pt_live *l, struct pt_error *err)
{
	const struct pt_track_to to = {
		.dirty = l->is_digest ? find : report,
		.arg = l,
	};
	__u64 began_ns = pt_clock_ns();
	int ret;

	memset(l->reported, 0, word_cnt(l) * sizeof(__u64));
	l->found_cnt = 0;
	ret = pt_tracker_review(l->tracker, err);
	if (!ret)
		ret = pt_tracker_collect(l->tracker, &to, err);
	l->report.collect_ns = pt_clock_ns() - began_ns;
	return ret;
}

int pt_live_look(struct pt_live *l, bool all, struct pt_error *err)
{
	__u64 began_ns = pt_clock_ns();
	int ret = collect(l, err);

	if (!ret && !l->is_digest)
		ret = compare(l, all ? NULL : l->reported, err);
	l->report.look_ns = pt_clock_ns() - began_ns;
	l->report.suspect_cnt = count(l, l->suspects);
	return ret;
}

/* suspect_holes adds the holes in which data was sent: the tracker reports no
 * punched hole. */
static int suspect_holes(struct pt_live *l, struct pt_error *err)
{
	struct pt_view view;
	int ret = 0;

	pt_view_init(&view);
	view.is_fresh = true;
	for (__u64 r = 0; !ret && r < l->region_cnt; r++) {
		const __u64 *sent = pt_digests_region(l->cfg.digests, r);

		if (!sent)
			continue;
		ret = pt_source_view(l->cfg.source, &view, l->cfg.layout, r,
				     err);
		for (__u32 i = 0; !ret && i < view.page_cnt; i++)
			if (sent[i] && pt_view_is_hole(&view, i))
				report(l, r * PT_REGION_PAGES + i, 1);
	}
	pt_view_free(&view);
	return ret;
}

int pt_live_recheck(struct pt_live *l, struct pt_error *err)
{
	int ret = collect(l, err);

	if (l->is_digest)
		return ret;
	if (!ret)
		ret = suspect_holes(l, err);
	return ret ? ret : compare(l, l->suspects, err);
}
