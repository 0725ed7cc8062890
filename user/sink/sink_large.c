/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/sink_large.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "base/thread.h"
#include "sink/sink_ops.h"

#define BATCH		8	/* units built at once: the kernel drains its
				 * per-CPU lists once for each call */

struct pt_sink_large {
	struct pt_sink *sink;
	const struct pt_large *want;
	_Atomic __u64 *built;		/* bit: it was tried */
	pthread_mutex_t lock;		/* of building, and of these: */
	__u64 build_ns;
	int failure;
	pthread_t thread;
	bool has_thread;
	atomic_bool stops;
};

static bool is_due(const struct pt_sink_large *l, __u64 unit)
{
	return pt_large_is_wanted(l->want, unit) &&
	       !(atomic_load(&l->built[unit / 64]) >> (unit % 64) & 1);
}

/* build builds the unit and those behind it, which the caller has found due; none
 * if another thread did so meanwhile. */
static void build(struct pt_sink_large *l, __u64 unit)
{
	__u64 cnt = 0, since_ns = pt_clock_ns();
	int ret;

	pthread_mutex_lock(&l->lock);
	while (cnt < BATCH && is_due(l, unit + cnt))
		cnt++;
	if (cnt) {
		ret = l->sink->ops->build(l->sink, unit * PT_LARGE_SZ,
					  cnt * PT_LARGE_SZ);
		if (ret)
			l->failure = ret;
		l->build_ns += pt_clock_ns() - since_ns;
	}
	for (__u64 i = unit; i < unit + cnt; i++)
		atomic_fetch_or(&l->built[i / 64], 1ULL << (i % 64));
	pthread_mutex_unlock(&l->lock);
}

static void *build_all(void *arg)
{
	struct pt_sink_large *l = arg;

	for (__u64 i = 0; i < l->want->unit_cnt && !atomic_load(&l->stops); i++)
		if (is_due(l, i))
			build(l, i);
	return NULL;
}

static int start(struct pt_sink_large *l)
{
	int ret;

	l->built = calloc(l->want->unit_cnt / 64 + 1, sizeof(*l->built));
	if (!l->built)
		return -ENOMEM;
	ret = pt_thread_start(&l->thread, build_all, l, "pt-large");
	l->has_thread = !ret;
	return ret;
}

int pt_sink_large_begin(struct pt_sink *s, const struct pt_large *want,
			struct pt_error *err)
{
	struct pt_sink_large *l;
	int ret = -ENOMEM;

	if (!want->wanted_cnt || !s->ops->build)
		return 0;
	l = calloc(1, sizeof(*l));
	if (l) {
		l->sink = s;
		l->want = want;
		pthread_mutex_init(&l->lock, NULL);
		s->large = l;
		ret = start(l);
	}
	if (ret)
		pt_sink_large_end(s);
	return ret ? pt_error_set(err, PT_EXIT_HOST, ret, "large pages: no "
				  "thread to make them: %s", strerror(-ret))
		   : 0;
}

bool pt_sink_large_is_built(const struct pt_sink *s)
{
	return s->large;
}

bool pt_sink_large_wants(const struct pt_sink *s, __u64 off, __u64 sz)
{
	if (!s->large || !sz)
		return false;
	for (__u64 i = off / PT_LARGE_SZ; i <= (off + sz - 1) / PT_LARGE_SZ; i++)
		if (pt_large_is_wanted(s->large->want, i))
			return true;
	return false;
}

void pt_sink_large_ready(struct pt_sink *s, __u64 off, __u64 sz)
{
	if (!s->large || !sz)
		return;
	for (__u64 i = off / PT_LARGE_SZ; i <= (off + sz - 1) / PT_LARGE_SZ; i++)
		if (is_due(s->large, i))
			build(s->large, i);
}

void pt_sink_large_finish(struct pt_sink *s)
{
	struct pt_sink_large *l = s->large;

	if (!l || !l->has_thread)
		return;
	pthread_join(l->thread, NULL);
	l->has_thread = false;
}

/* count_runs adds up the large pages of each run of units that are wanted. */
static bool count_runs(const struct pt_sink_large *l, __u64 *cnt)
{
	__u64 unit = 0, end;

	for (*cnt = 0; unit < l->want->unit_cnt; unit = end) {
		__s64 sz;

		for (end = unit; pt_large_is_wanted(l->want, end); end++)
			;
		if (end == unit) {
			end++;
			continue;
		}
		sz = l->sink->ops->large_sz(l->sink, unit * PT_LARGE_SZ,
					    (end - unit) * PT_LARGE_SZ);
		if (sz < 0)
			return false;
		*cnt += sz / PT_LARGE_SZ;
	}
	return true;
}

void pt_sink_large_count(const struct pt_sink *s,
			 struct pt_sink_large_count *out)
{
	struct pt_sink_large *l = s->large;

	*out = (struct pt_sink_large_count){ 0 };
	out->unmapped_cnt = s->ops->unmapped ? s->ops->unmapped(s) : 0;
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	out->build_ns = l->build_ns;
	out->failure = l->failure;
	pthread_mutex_unlock(&l->lock);
	out->is_counted = count_runs(l, &out->large_cnt);
}

void pt_sink_large_end(struct pt_sink *s)
{
	struct pt_sink_large *l = s->large;

	if (!l)
		return;
	atomic_store(&l->stops, true);
	pt_sink_large_finish(s);
	pthread_mutex_destroy(&l->lock);
	free(l->built);
	free(l);
	s->large = NULL;
}
