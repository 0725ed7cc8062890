/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/recheck.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/thread.h"
#include "source/page_word.h"

struct pt_recheck {
	struct pt_recheck_cfg cfg;
	__u64 region_cnt;
	_Atomic __u64 region_next;	/* the next that a thread takes */
	_Atomic __u64 read_sz;
	atomic_uint running_cnt;	/* threads; 0: a result is ready */
	atomic_bool stop;		/* threads have to end */
	atomic_bool has_error;		/* the thread that sets it writes: */
	int error;
	struct pt_error error_text;
	unsigned thread_cnt;
	pthread_t threads[PT_RECHECK_THREADS];
};

static int compare_word(struct pt_recheck *r, struct pt_view *v,
			__u64 region_idx, __u32 first, struct pt_error *err)
{
	__u64 page_idx = region_idx * PT_REGION_PAGES + first;
	struct pt_page_word w = pt_page_word_of(v, r->cfg.layout, region_idx,
						first);
	int ret = pt_page_word_scan(&w, r->cfg.source, r->cfg.digest_key, err);

	if (ret)
		return ret;
	atomic_fetch_add_explicit(&r->read_sz, pt_page_word_sz(&w),
				  memory_order_relaxed);
	for (unsigned i = 0; i < 64 && w.wanted >> i & 1; i++)
		if (w.digests[i] != pt_digests_get(r->cfg.digests,
						   page_idx + i))
			return pt_error_set(err, PT_EXIT_MISMATCH, -ESTALE,
					    "page %llu changed after it was "
					    "sent; nothing was committed (pause "
					    "the process that writes it, then "
					    "send again)",
					    (unsigned long long)(w.gfn + i));
	return 0;
}

static int compare_region(struct pt_recheck *r, struct pt_view *v,
			  __u64 region_idx, struct pt_error *err)
{
	int ret = pt_source_view(r->cfg.source, v, r->cfg.layout, region_idx,
				 err);

	/* A region that is, and was, a hole has no pages to read. */
	if (!ret && pt_view_is_hole_whole(v) &&
	    !pt_digests_region(r->cfg.digests, region_idx))
		return 0;
	for (__u32 first = 0; !ret && first < v->page_cnt; first += 64) {
		if (atomic_load_explicit(&r->stop, memory_order_relaxed))
			break;
		ret = compare_word(r, v, region_idx, first, err);
	}
	return ret;
}

/* fail reports the first error, and ends the other threads. */
static void fail(struct pt_recheck *r, int error, const struct pt_error *err)
{
	atomic_store(&r->stop, true);
	if (atomic_exchange(&r->has_error, true))
		return;
	r->error = error;
	r->error_text = *err;
}

static void *recheck_main(void *arg)
{
	struct pt_recheck *r = arg;
	struct pt_error err;
	struct pt_view view;
	int ret = 0;

	pt_view_init(&view);
	while (!ret && !atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		__u64 region_idx = atomic_fetch_add_explicit(&r->region_next, 1,
						memory_order_relaxed);

		if (region_idx >= r->region_cnt)
			break;
		ret = compare_region(r, &view, region_idx, &err);
	}
	if (ret)
		fail(r, ret, &err);
	pt_view_free(&view);
	if (atomic_fetch_sub(&r->running_cnt, 1) == 1 && r->cfg.wake_fd >= 0)
		eventfd_write(r->cfg.wake_fd, 1);
	return NULL;
}

/* threads_wanted returns one thread per CPU of our affinity, at most one per
 * region. */
static unsigned threads_wanted(__u64 region_cnt)
{
	unsigned cnt = 1;
	cpu_set_t cpus;

	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		cnt = CPU_COUNT(&cpus);
	if (cnt > PT_RECHECK_THREADS)
		cnt = PT_RECHECK_THREADS;
	return cnt < region_cnt ? cnt : region_cnt;
}

int pt_recheck_start(struct pt_recheck **out, const struct pt_recheck_cfg *cfg,
		     struct pt_error *err)
{
	__u64 region_cnt = pt_layout_region_cnt(cfg->layout);
	unsigned wanted = threads_wanted(region_cnt);
	struct pt_recheck *r = calloc(1, sizeof(*r));
	int ret = r ? 0 : -ENOMEM;

	if (!ret) {
		r->cfg = *cfg;
		r->region_cnt = region_cnt;
		r->running_cnt = 1;	/* ours: no result until all started */
	}
	while (!ret && r->thread_cnt < wanted) {
		atomic_fetch_add(&r->running_cnt, 1);
		ret = pt_thread_start(&r->threads[r->thread_cnt], recheck_main,
				      r, "pt-recheck-%u", r->thread_cnt);
		if (ret)
			atomic_fetch_sub(&r->running_cnt, 1);
		else
			r->thread_cnt++;
	}
	if (ret && (!r || !r->thread_cnt)) {
		free(r);
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a "
				    "thread to read the source again: %s "
				    "(memory, or ulimit -u)", strerror(-ret));
	}
	/* If not all threads could be started, the others do the work. */
	if (atomic_fetch_sub(&r->running_cnt, 1) == 1 && cfg->wake_fd >= 0)
		eventfd_write(cfg->wake_fd, 1);
	*out = r;
	return 0;
}

int pt_recheck_result(const struct pt_recheck *r, struct pt_error *err)
{
	if (atomic_load(&r->running_cnt))
		return 0;
	if (!r->has_error)
		return 1;
	*err = r->error_text;
	return r->error;
}

__u64 pt_recheck_read_sz(const struct pt_recheck *r)
{
	return atomic_load_explicit(&r->read_sz, memory_order_relaxed);
}

void pt_recheck_cancel(struct pt_recheck *r)
{
	if (r)
		atomic_store(&r->stop, true);
}

bool pt_recheck_has_ended(const struct pt_recheck *r)
{
	return !r || !atomic_load(&r->running_cnt);
}

void pt_recheck_stop(struct pt_recheck *r)
{
	if (!r)
		return;
	pt_recheck_cancel(r);
	for (unsigned i = 0; i < r->thread_cnt; i++)
		pthread_join(r->threads[i], NULL);
	free(r);
}
