/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Looks for pages that must be sent again. */
#include "live/live_internal.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "source/scan_batch.h"
#include "track/compare.h"

#define COMPARE_NS	1000	/* per page, before it was measured */

static __u64 word_cnt(const struct pt_live *l)
{
	return l->region_cnt * PT_REGION_WORDS;
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

/* find receives pages that differ.  One that was not reported may have been read
 * while I/O wrote it: it is a suspect, too. */
static void find(void *arg, __u64 page_idx, __u32 cnt)
{
	struct pt_live *l = arg;

	for (__u64 i = page_idx; i < page_idx + cnt; i++)
		l->suspects[i / 64] |= 1ULL << (i % 64);
	l->found_cnt += pt_dirty_set(l->found, page_idx, cnt);
}

/* data_cnt returns how many of the pages, or of all (NULL), were sent with data:
 * others are holes, mostly, which cost no read. */
static __u64 data_cnt(const struct pt_live *l, const __u64 *pages)
{
	__u64 cnt = 0;

	for (__u64 r = 0; r < l->region_cnt; r++) {
		const __u64 *sent = pt_digests_region(l->cfg.digests, r);

		for (__u32 i = 0; sent && i < PT_REGION_PAGES; i++)
			cnt += sent[i] && (!pages ||
			       pages[(r * PT_REGION_PAGES + i) / 64] >>
			       (i % 64) & 1);
	}
	return cnt;
}

/* compare finds those of the pages, or of all (NULL), whose content is not what
 * was sent, and stores the time that it took. */
static int compare(struct pt_live *l, const __u64 *pages, __u64 *took_ns,
		   struct pt_error *err)
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
	int ret = pt_compare_run(&cfg, &l->is_abandoned, err);

	*took_ns = pt_clock_ns() - began_ns;
	return ret;
}

/* arm lets abandon cancel the tracker from now on. */
static int arm(struct pt_live *l, struct pt_tracker *tracker,
	       struct pt_error *err)
{
	pthread_mutex_lock(&l->lock);
	l->tracker = tracker;
	pthread_mutex_unlock(&l->lock);
	l->armed_ns = pt_clock_ns();
	return pt_tracker_arm(tracker, err);
}

/* note_misses: a process may begin to hide at any time. */
static void note_misses(struct pt_live *l)
{
	l->report.misses = pt_tracker_misses(l->tracker) &
			   (PT_TRACK_MISSES_FILE_WRITES |
			    PT_TRACK_MISSES_MAPPERS);
}

/* told: where the guest's own report goes. */
struct told {
	const struct pt_layout *layout;
	const struct pt_track_to *to;
	__u64 stranger;		/* a page that is in no segment, plus 1; 0: none */
};

static void on_told(void *arg, __u64 gfn, __u64 cnt)
{
	struct told *t = arg;
	__u64 page_idx;

	for (; cnt && !t->stranger; gfn++, cnt--)
		if (pt_layout_find(t->layout, gfn, &page_idx))
			t->to->dirty(t->to->arg, page_idx, 1);
		else
			t->stranger = gfn + 1;
}

/* collect_told has the guest report. */
static int collect_told(void *arg, const struct pt_track_to *to,
			const atomic_bool *is_cancelled, struct pt_error *err)
{
	const struct pt_live *l = arg;
	struct told t = { l->cfg.layout, to, 0 };
	int ret = l->cfg.guest.changed(l->cfg.guest.arg, on_told, &t, err);

	(void)is_cancelled;
	if (!ret && t.stranger)
		ret = pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "page %llu was "
				   "reported as changed, and is not sent",
				   t.stranger - 1);
	return ret;
}

/* choose opens the tracker. */
static int choose(struct pt_live *l, struct pt_tracker **tracker, int *refused,
		  struct pt_error *why, struct pt_error *err)
{
	bool is_loose = pt_source_has_mappings(l->cfg.source);
	const struct pt_track_target target = {
		.pid = l->cfg.pid,
		.ranges = is_loose ? l->ranges : l->cfg.ranges,
		.range_cnt = is_loose ? l->range_cnt : l->cfg.range_cnt,
		.src = l->cfg.source,
		.layout = l->cfg.layout,
		.digests = l->cfg.digests,
		.digest_key = l->cfg.digest_key,
	};

	if (l->cfg.guest.collect)
		return pt_tracker_open_told(tracker, l->cfg.guest.collect,
					    l->cfg.guest.arg, err);
	if (l->cfg.guest.changed)
		return pt_tracker_open_told(tracker, collect_told, l, err);
	if (l->cfg.tracker == PT_LIVE_TRACKER_DIGEST)
		return pt_tracker_open_digest(tracker, &target, err);
	if (l->cfg.tracker == PT_LIVE_TRACKER_WP)
		return pt_tracker_open_wp(tracker, target.pid, target.ranges,
					  target.range_cnt, NULL, err);
	return pt_tracker_open(tracker, &target, refused, why, err);
}

/* has_drained: no I/O is in flight that began before the tracker was armed; if some
 * may be, *why.  That of other processes is unknown, and of hidden ones each write:
 * some are found while all memory is compared. */
static bool has_drained(const struct pt_live *l, struct pt_error *why)
{
	const char *text = NULL;

	if (!l->cfg.guest.drain || atomic_load(&l->is_abandoned))
		text = "I/O that began before is not waited for";
	else if (pt_tracker_others(l->tracker))
		text = "another process maps the memory, too";
	else if (pt_tracker_misses(l->tracker) & PT_TRACK_MISSES_MAPPERS)
		text = "some processes cannot be looked at";
	if (text)
		return pt_error_set(why, PT_EXIT_HOST, 0, "%s", text);
	return !l->cfg.guest.drain(l->cfg.guest.arg, why);
}

int pt_live_choose(struct pt_live *l, struct pt_error *err)
{
	__u64 began_ns = pt_clock_ns();
	struct pt_error why = { .exit = PT_EXIT_OK };
	struct pt_error unsettled = { .exit = PT_EXIT_OK };
	struct pt_tracker *tracker = NULL;
	int refused = 0;
	int ret = pt_live_mappings(l, err);

	if (!ret)
		ret = choose(l, &tracker, &refused, &why, err);
	if (!ret)
		ret = arm(l, tracker, err);
	if (ret)
		return ret;
	l->report.is_exact = pt_tracker_odds(l->tracker) > 0 ||
			     l->cfg.guest.collect;
	l->report.tracker = pt_tracker_name(l->tracker);
	l->report.odds = pt_tracker_odds(l->tracker);
	l->report.is_settled = l->report.is_exact || has_drained(l, &unsettled);
	l->report.compare_ns = COMPARE_NS;
	note_misses(l);
	l->report.arm_ns = pt_clock_ns() - began_ns;
	if (refused)
		strcpy(l->report.why, why.text);
	strcpy(l->report.compare_why, unsettled.text);
	return 0;
}

/* is_sent compares a page with what was last sent of it. */
static bool is_sent(void *arg, __u64 page_idx, const void *page)
{
	const struct pt_live *l = arg;
	__u64 gfn = pt_layout_gfn(l->cfg.layout, page_idx);

	return pt_scan_batch_page_digest(l->cfg.digest_key, gfn, page) ==
	       pt_digests_get(l->cfg.digests, page_idx);
}

/* collect has the tracker report.  An exact tracker's report is what is found. */
static int collect(struct pt_live *l, struct pt_error *err)
{
	const struct pt_track_to to = {
		.dirty = l->report.is_exact ? find : report,
		.is_sent = is_sent,
		.arg = l,
	};
	__u64 began_ns = pt_clock_ns();
	int ret;

	memset(l->reported, 0, word_cnt(l) * sizeof(__u64));
	l->found_cnt = 0;
	ret = pt_live_mappings(l, err);
	if (!ret && l->range_cnt)
		ret = pt_tracker_retarget(l->tracker, l->ranges, l->range_cnt,
					  &to, err);
	if (!ret)
		ret = pt_tracker_review(l->tracker, err);
	if (!ret)
		ret = pt_tracker_collect(l->tracker, &to, err);
	note_misses(l);
	l->report.collect_ns = pt_clock_ns() - began_ns;
	return ret;
}

/* suspect_holes adds the holes in which data was sent: the tracker reports no
 * punched hole. */
static int suspect_holes(struct pt_live *l, struct pt_error *err)
{
	__u64 began_ns = pt_clock_ns();
	struct pt_view view;
	int ret = 0;

	pt_view_init(&view);
	view.is_fresh = true;
	for (__u64 r = 0; !ret && r < l->region_cnt; r++) {
		const __u64 *sent = pt_digests_region(l->cfg.digests, r);

		if (!sent)
			continue;
		ret = atomic_load(&l->is_abandoned) ? -ECANCELED
			: pt_source_view(l->cfg.source, &view, l->cfg.layout, r,
					 err);
		for (__u32 i = 0; !ret && i < view.page_cnt; i++)
			if (sent[i] && pt_view_is_hole(&view, i))
				report(l, r * PT_REGION_PAGES + i, 1);
	}
	pt_view_free(&view);
	l->report.holes_ns = pt_clock_ns() - began_ns;
	return ret;
}

/* add_sample adds regions in turn, where too few pages were reported to measure
 * by: a sample that was slow, since others were at work, must not count for
 * long. */
static void add_sample(struct pt_live *l)
{
	__u64 cnt = 0;

	if (data_cnt(l, l->reported) >= PT_COMPARE_FEW)
		return;
	for (__u64 i = 0; i < l->region_cnt && cnt < PT_COMPARE_FEW; i++) {
		const __u64 *sent = pt_digests_region(l->cfg.digests, l->sample);

		for (__u32 k = 0; sent && k < PT_REGION_PAGES; k++)
			cnt += sent[k] != 0;
		if (sent)
			memset(l->reported + l->sample * PT_REGION_WORDS, 0xff,
			       PT_REGION_WORDS * sizeof(__u64));
		l->sample = (l->sample + 1) % l->region_cnt;
	}
}

/* look_at compares the reported pages or, once the memory has settled, all. It
 * measures what a page takes, so that the stop need not. */
static int look_at(struct pt_live *l, struct pt_error *err)
{
	bool all = !l->report.is_settled &&
		   pt_clock_ns() - l->armed_ns > PT_LIVE_SETTLE_NS;
	const __u64 *pages = all ? NULL : l->reported;
	int ret = l->report.holes_ns ? 0 : suspect_holes(l, err);
	__u64 took_ns, cnt;

	if (ret)
		return ret;
	if (!l->report.is_settled && !all)
		add_sample(l);
	ret = compare(l, pages, &took_ns, err);
	if (ret)
		return ret;
	l->report.is_settled |= all;
	cnt = data_cnt(l, pages);
	if (cnt >= PT_COMPARE_FEW && (!l->is_measured ||
				      took_ns / cnt < l->report.compare_ns)) {
		l->report.compare_ns = took_ns / cnt;
		l->is_measured = true;
	}
	return 0;
}

int pt_live_look(struct pt_live *l, struct pt_error *err)
{
	__u64 began_ns = pt_clock_ns();
	int ret = collect(l, err);

	if (!ret && !l->report.is_exact)
		ret = look_at(l, err);
	l->report.look_ns = pt_clock_ns() - began_ns;
	l->report.suspect_cnt = l->report.is_exact ? 0 : data_cnt(l,
		l->report.is_settled ? l->suspects : NULL);
	return ret;
}

int pt_live_recheck(struct pt_live *l, struct pt_error *err)
{
	int ret = collect(l, err);
	__u64 took_ns;

	if (l->report.is_exact)
		return ret;
	if (!ret)
		ret = suspect_holes(l, err);
	return ret ? ret : compare(l, l->report.is_settled ? l->suspects : NULL,
				   &took_ns, err);
}
