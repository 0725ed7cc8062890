// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* By digest: every look reads the memory and compares a keyed digest of each
 * page with that of the last look. */
#include "track/tracker_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "memory/guard.h"
#include "trim/digest.h"

#define WORDS_MAX 2	/* of a digest */

struct by_digest {
	struct pt_tracker tracker;
	struct pt_source *src;
	const struct pt_layout *layout;
	struct pt_view view;
	__u64 key;
	__u32 word_cnt;		/* of a digest, 1..WORDS_MAX */
	__u64 *digests;		/* word_cnt for each page index; a page that was
				 * always zero takes no memory */
};

/* look: one look at a region. */
struct look {
	struct by_digest *d;
	__u64 region_idx;
	__u64 changed[PT_REGION_PAGES / 64];
};

/* word_compare takes the digests of the pages of one word and notes which
 * changed.  The pages were loaded. */
static void word_compare(struct look *l, __u32 first, __u64 bits)
{
	struct by_digest *d = l->d;
	const struct pt_view *v = &d->view;
	const size_t sz = d->word_cnt * sizeof(__u64);
	__u64 holes = v->holes[first / 64];

	for (; bits; bits &= bits - 1) {
		unsigned i = __builtin_ctzll(bits);
		__u64 page_idx = l->region_idx * PT_REGION_PAGES + first + i;
		__u64 *was = &d->digests[page_idx * d->word_cnt];
		__u64 now[WORDS_MAX] = { 0 };

		if (!(holes >> i & 1))
			pt_digest_wide(d->key, v->pages +
				       (size_t)(first + i) * PT_PAGE_SZ, now);
		if (!memcmp(was, now, sz))
			continue;
		memcpy(was, now, sz);
		l->changed[first / 64] |= 1ULL << i;
	}
}

static int region_look(struct look *l, struct pt_error *err)
{
	struct by_digest *d = l->d;
	struct pt_view *v = &d->view;
	struct pt_guard guard;
	int code;

	memset(l->changed, 0, sizeof(l->changed));
	code = pt_source_view(d->src, v, d->layout, l->region_idx, err);
	for (__u32 first = 0; !code && first < v->page_cnt; first += 64) {
		__u64 bits = pt_view_word(v, first);

		code = pt_view_load(d->src, v, first, bits, err);
		if (code)
			break;
		/* A file that is mapped may be cut short. */
		if (pt_guard_enter(&guard))
			return pt_source_faulted(d->src, guard.addr, err);
		word_compare(l, first, bits);
		pt_guard_leave(&guard);
	}
	return code;
}

static void region_report(const struct look *l, const struct pt_track_to *to)
{
	for (__u32 w = 0; w < PT_REGION_PAGES / 64; w++) {
		__u64 bits = l->changed[w];

		while (bits) {
			unsigned first = __builtin_ctzll(bits);
			__u64 rest = ~(bits >> first);
			unsigned cnt = rest ? __builtin_ctzll(rest) : 64;

			pt_track_report(to, l->region_idx * PT_REGION_PAGES +
					w * 64 + first, cnt);
			bits = first + cnt == 64 ? 0
				: bits >> (first + cnt) << (first + cnt);
		}
	}
}

static int digest_collect(struct pt_tracker *t, const struct pt_track_to *to,
			  struct pt_error *err)
{
	struct look l = { .d = (struct by_digest *)t };
	__u64 cnt = pt_layout_region_cnt(l.d->layout);

	/* A view remembers where the last data of a file began, and that may
	 * have changed since. */
	pt_view_free(&l.d->view);
	pt_view_init(&l.d->view);
	for (; l.region_idx < cnt; l.region_idx++) {
		int code = region_look(&l, err);

		if (to)
			region_report(&l, to);
		if (code)
			return code;
	}
	return 0;
}

static int digest_arm(struct pt_tracker *t, struct pt_error *err)
{
	return digest_collect(t, NULL, err);
}

static void digest_close(struct pt_tracker *t)
{
	struct by_digest *d = (struct by_digest *)t;

	pt_view_free(&d->view);
	free(d->digests);
	free(d);
}

static const struct pt_tracker_ops digest_ops = {
	.name = "digest",
	.arm = digest_arm,
	.collect = digest_collect,
	.close = digest_close,
};

int pt_tracker_open_digest(struct pt_tracker **out, struct pt_source *src,
			   const struct pt_layout *l, __u32 digest_sz,
			   struct pt_error *err)
{
	struct by_digest *d;

	if (digest_sz != 8 && digest_sz != 16)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "digests of %u bytes: they have 8 or 16",
				    digest_sz);
	d = calloc(1, sizeof(*d));
	if (!d)
		goto no_memory;
	pt_view_init(&d->view);
	d->tracker.ops = &digest_ops;
	d->tracker.odds = digest_sz == 8 ? 0x1p-64 : 0x1p-128;
	d->tracker.misses = PT_TRACK_MISSES_RETURNS;
	d->src = src;
	d->layout = l;
	d->word_cnt = digest_sz / sizeof(__u64);
	d->digests = calloc(pt_layout_page_cnt(l), digest_sz);
	if (!d->digests) {
		digest_close(&d->tracker);
		goto no_memory;
	}
	if (getrandom(&d->key, sizeof(d->key), 0) != sizeof(d->key)) {
		digest_close(&d->tracker);
		return pt_error_set(err, PT_EXIT_HOST, -EIO,
				    "no random numbers (getrandom)");
	}
	*out = &d->tracker;
	return 0;

no_memory:
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "no memory for digests of %u bytes per page",
			    digest_sz);
}
