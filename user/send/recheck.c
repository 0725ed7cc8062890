/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/recheck.h"

#include <errno.h>
#include <stdlib.h>

#include "track/compare.h"

struct pt_recheck {
	struct pt_compare *compare;
	const struct pt_layout *layout;
	bool has_changed;		/* written before a result is ready: */
	__u64 page_idx;			/* the first that was found */
};

static void note_change(void *arg, __u64 page_idx, __u32 cnt)
{
	struct pt_recheck *r = arg;

	(void)cnt;
	r->page_idx = page_idx;
	r->has_changed = true;
}

int pt_recheck_start(struct pt_recheck **out, const struct pt_recheck_cfg *cfg,
		     struct pt_error *err)
{
	struct pt_recheck *r = calloc(1, sizeof(*r));
	const struct pt_compare_cfg compare = {
		.source = cfg->source,
		.layout = cfg->layout,
		.digests = cfg->digests,
		.digest_key = cfg->digest_key,
		.to = { .dirty = note_change, .arg = r },
		.is_first_only = true,
		.wake_fd = cfg->wake_fd,
	};
	int ret;

	if (!r)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory to read the source again");
	r->layout = cfg->layout;
	ret = pt_compare_start(&r->compare, &compare, err);
	if (ret) {
		free(r);
		return ret;
	}
	*out = r;
	return 0;
}

int pt_recheck_result(const struct pt_recheck *r, struct pt_error *err)
{
	int ret = pt_compare_result(r->compare, err);

	if (ret != 1 || !r->has_changed)
		return ret;
	return pt_error_set(err, PT_EXIT_MISMATCH, -ESTALE, "page %llu changed "
			    "after it was sent; nothing was committed (pause "
			    "the process that writes it, then send again)",
			    (unsigned long long)pt_layout_gfn(r->layout,
							      r->page_idx));
}

__u64 pt_recheck_read_sz(const struct pt_recheck *r)
{
	return pt_compare_read_sz(r->compare);
}

void pt_recheck_cancel(struct pt_recheck *r)
{
	if (r)
		pt_compare_cancel(r->compare);
}

bool pt_recheck_has_ended(const struct pt_recheck *r)
{
	return !r || pt_compare_has_ended(r->compare);
}

void pt_recheck_stop(struct pt_recheck *r)
{
	if (!r)
		return;
	pt_compare_stop(r->compare);
	free(r);
}
