/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* track_kit: the pages that a tracker reports, one by one. */
#ifndef TEST_TRACK_KIT_H
#define TEST_TRACK_KIT_H

#include "scratch.h"
#include "source/scan_batch.h"
#include "track/tracker.h"

#include <sys/utsname.h>

#define PAGE 4096u
#define SEEN_PAGES 65536u

/* tests_end_early returns whether this machine has no tracker by write
 * protection to be tested, and says so.  scripts/check.sh shows it as skipped if
 * main() returns SKIPPED. */
#define SKIPPED 77

static inline bool tests_end_early(void)
{
	struct utsname u;
	int major = 0, minor = 0;
#ifdef __x86_64__
	const bool is_x86 = true;
#else
	const bool is_x86 = false;
#endif

	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	if (is_x86 && (major > 6 || (major == 6 && minor >= 7)))
		return false;
	printf("skipped: needs Linux 6.7 and x86-64, this is %s on %s\n",
	       u.release, u.machine);
	return true;
}

struct seen {
	__u8 pages[SEEN_PAGES];		/* how often it was reported */
	__u32 cnt;			/* pages reported, each once */
};

static inline void seen_dirty(void *arg, __u64 page_idx, __u32 cnt)
{
	struct seen *seen = arg;

	assert_in_range(cnt, 1, PT_REGION_PAGES);
	assert_in_range(page_idx + cnt, 1, SEEN_PAGES);
	assert_int_equal(page_idx / PT_REGION_PAGES,
			 (page_idx + cnt - 1) / PT_REGION_PAGES);
	for (__u32 i = 0; i < cnt; i++)
		seen->cnt += !seen->pages[page_idx + i]++;
}

/* collect reads the tracker once more; earlier pages are forgotten. */
static inline void collect(struct pt_tracker *t, struct seen *seen)
{
	struct pt_error err = { 0 };

	memset(seen, 0, sizeof(*seen));
	if (pt_tracker_collect(t, &(struct pt_track_to){
			.dirty = seen_dirty, .arg = seen }, &err))
		fail_msg("%s", err.text);
}

static inline void arm(struct pt_tracker *t)
{
	struct pt_error err = { 0 };

	if (pt_tracker_arm(t, &err))
		fail_msg("%s", err.text);
}

/* expect_seen: exactly these pages, up to a ~0, are reported by a look. */
static inline void expect_pages(struct pt_tracker *t, const __u64 *pages)
{
	struct seen seen;
	__u32 cnt = 0;

	collect(t, &seen);
	for (; pages[cnt] != ~0ULL; cnt++)
		if (!seen.pages[pages[cnt]])
			fail_msg("page %llu is not reported",
				 (unsigned long long)pages[cnt]);
	if (seen.cnt == cnt)
		return;
	for (__u32 i = 0; i < SEEN_PAGES; i++)
		if (seen.pages[i])
			print_message("reported: page %u\n", i);
	fail_msg("%u pages reported, not %u", seen.cnt, cnt);
}

/* sent_as_now takes the digests of all pages as they are now. */
static inline int sent_as_now(struct pt_source *src, const struct pt_layout *l,
			      __u64 key, struct pt_digests *digests,
			      struct pt_error *err)
{
	struct pt_view v;
	int code = 0;

	pt_view_init(&v);
	for (__u64 r = 0; !code && r < pt_layout_region_cnt(l); r++) {
		code = pt_source_view(src, &v, l, r, err);
		for (__u32 first = 0; !code && first < v.page_cnt;
		     first += 64) {
			struct pt_scan_batch batch =
				pt_scan_batch_of(&v, l, r, first);

			code = pt_scan_batch_read(&batch, src, key, err);
			for (__u32 i = 0; i < 64 && batch.wanted >> i & 1; i++)
				pt_digests_set(digests, r * PT_REGION_PAGES +
					       first + i, batch.digests[i]);
		}
	}
	pt_view_free(&v);
	return code;
}

#define expect_seen(t, ...) \
	expect_pages(t, (const __u64[]){ __VA_ARGS__ __VA_OPT__(,) ~0ULL })

#endif
