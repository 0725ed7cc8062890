// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/compare.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/thread.h"
#include "memory/dirty.h"
#include "source/scan_batch.h"

struct pt_compare {
	struct pt_compare_cfg cfg;
	const atomic_bool *cancelled;	/* by the caller; NULL: never */
	__u64 region_cnt;
	_Atomic __u64 region_next;	/* the next that a thread takes */
	_Atomic __u64 read_sz;
	atomic_uint running_cnt;	/* threads; 0: a result is ready */
	atomic_bool stop;		/* threads have to end */
	atomic_bool has_error;		/* the thread that sets it writes: */
	int error;
	struct pt_error error_text;
	pthread_mutex_t reporting;
	bool has_found;			/* a page that differs */
	unsigned thread_cnt;
	pthread_t threads[PT_COMPARE_THREADS];
};

static bool must_end(const struct pt_compare *c)
{
	return atomic_load_explicit(&c->stop, memory_order_relaxed) ||
	       (c->cancelled &&
		atomic_load_explicit(c->cancelled, memory_order_relaxed));
}

/* --- a region --------------------------------------------------------- */

static __u64 wanted_of(const struct pt_compare *c, __u64 region_idx, __u32 word)
{
	return c->cfg.pages ? c->cfg.pages[region_idx * PT_REGION_WORDS + word]
			    : ~0ULL;
}

static bool is_wanted(const struct pt_compare *c, __u64 region_idx)
{
	__u64 any = 0;

	for (__u32 word = 0; word < PT_REGION_WORDS; word++)
		any |= wanted_of(c, region_idx, word);
	return any;
}

/* batch_compare stores the pages of the scan batch that differ. */
static int batch_compare(struct pt_compare *c, struct pt_view *v,
			 __u64 region_idx, __u32 first, __u64 *changed,
			 struct pt_error *err)
{
	__u64 page_idx = region_idx * PT_REGION_PAGES + first;
	struct pt_scan_batch batch = pt_scan_batch_of(v, c->cfg.layout,
						      region_idx, first);
	int ret;

	batch.wanted &= wanted_of(c, region_idx, first / 64);
	if (!batch.wanted)
		return 0;
	ret = pt_scan_batch_read(&batch, c->cfg.source, c->cfg.digest_key, err);
	if (ret)
		return ret;
	atomic_fetch_add_explicit(&c->read_sz, pt_scan_batch_sz(&batch),
				  memory_order_relaxed);
	for (__u64 bits = batch.wanted; bits; bits &= bits - 1) {
		unsigned i = __builtin_ctzll(bits);

		if (batch.digests[i] != pt_digests_get(c->cfg.digests,
						   page_idx + i))
			*changed |= 1ULL << i;
	}
	return 0;
}

static void word_report(const struct pt_compare *c, __u64 page_idx, __u64 bits)
{
	while (bits) {
		unsigned first = __builtin_ctzll(bits);
		__u64 others = ~(bits >> first);
		unsigned cnt = others ? __builtin_ctzll(others) : 64;

		c->cfg.to.dirty(c->cfg.to.arg, page_idx + first, cnt);
		if (c->cfg.is_first_only)
			return;
		bits &= first + cnt < 64 ? ~0ULL << (first + cnt) : 0;
	}
}

static void region_report(struct pt_compare *c, __u64 region_idx,
			  const __u64 changed[PT_REGION_WORDS])
{
	pthread_mutex_lock(&c->reporting);
	for (__u32 word = 0; word < PT_REGION_WORDS; word++) {
		if (c->cfg.is_first_only && c->has_found)
			break;
		if (!changed[word])
			continue;
		c->has_found = true;
		word_report(c, region_idx * PT_REGION_PAGES + word * 64,
			    changed[word]);
	}
	if (c->cfg.is_first_only && c->has_found)
		atomic_store(&c->stop, true);
	pthread_mutex_unlock(&c->reporting);
}

static int region_compare(struct pt_compare *c, struct pt_view *v,
			  __u64 region_idx, struct pt_error *err)
{
	__u64 changed[PT_REGION_WORDS] = { 0 };
	__u64 any = 0;
	int ret;

	if (!is_wanted(c, region_idx))
		return 0;
	ret = pt_source_view(c->cfg.source, v, c->cfg.layout, region_idx, err);
	/* A region that is, and was, a hole has no pages to read. */
	if (!ret && pt_view_is_hole_whole(v) &&
	    !pt_digests_region(c->cfg.digests, region_idx))
		return 0;
	for (__u32 first = 0; !ret && first < v->page_cnt; first += 64) {
		if (must_end(c))
			break;
		ret = batch_compare(c, v, region_idx, first,
				   &changed[first / 64], err);
		any |= changed[first / 64];
	}
	if (any)
		region_report(c, region_idx, changed);
	return ret;
}

/* --- threads ---------------------------------------------------------- */

/* fail reports the first error, and ends the other threads. */
static void fail(struct pt_compare *c, int error, const struct pt_error *err)
{
	atomic_store(&c->stop, true);
	if (atomic_exchange(&c->has_error, true))
		return;
	c->error = error;
	c->error_text = *err;
}

/* work compares regions until none is left. */
static void work(struct pt_compare *c)
{
	struct pt_error err;
	struct pt_view view;
	int ret = 0;

	pt_view_init(&view);
	while (!ret && !must_end(c)) {
		__u64 region_idx = atomic_fetch_add_explicit(&c->region_next, 1,
						memory_order_relaxed);

		if (region_idx >= c->region_cnt)
			break;
		ret = region_compare(c, &view, region_idx, &err);
	}
	if (ret)
		fail(c, ret, &err);
	pt_view_free(&view);
}

static void end_one(struct pt_compare *c)
{
	if (atomic_fetch_sub(&c->running_cnt, 1) == 1 && c->cfg.wake_fd >= 0)
		eventfd_write(c->cfg.wake_fd, 1);
}

static void *compare_main(void *arg)
{
	work(arg);
	end_one(arg);
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
	if (cnt > PT_COMPARE_THREADS)
		cnt = PT_COMPARE_THREADS;
	return cnt < region_cnt ? cnt : region_cnt;
}

static void init(struct pt_compare *c, const struct pt_compare_cfg *cfg,
		 const atomic_bool *cancelled)
{
	c->cfg = *cfg;
	c->cancelled = cancelled;
	c->region_cnt = pt_layout_region_cnt(cfg->layout);
	c->running_cnt = 1;	/* ours: no result until all started */
	pthread_mutex_init(&c->reporting, NULL);
}

/* threads_start starts up to cnt threads; an error matters if it is the first
 * that fails. */
static int threads_start(struct pt_compare *c, unsigned cnt)
{
	int ret = 0;

	while (!ret && c->thread_cnt < cnt) {
		atomic_fetch_add(&c->running_cnt, 1);
		ret = pt_thread_start(&c->threads[c->thread_cnt], compare_main,
				      c, "pt-compare-%u", c->thread_cnt);
		if (ret)
			atomic_fetch_sub(&c->running_cnt, 1);
		else
			c->thread_cnt++;
	}
	return ret;
}

static void threads_join(struct pt_compare *c)
{
	for (unsigned i = 0; i < c->thread_cnt; i++)
		pthread_join(c->threads[i], NULL);
	pthread_mutex_destroy(&c->reporting);
}

/* --- the interface ---------------------------------------------------- */

int pt_compare_start(struct pt_compare **out, const struct pt_compare_cfg *cfg,
		     struct pt_error *err)
{
	struct pt_compare *c = calloc(1, sizeof(*c));
	int ret = -ENOMEM;

	if (c) {
		init(c, cfg, NULL);
		ret = threads_start(c, threads_wanted(c->region_cnt));
	}
	if (ret && (!c || !c->thread_cnt)) {
		free(c);
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a "
				    "thread to read the source again: %s "
				    "(memory, ulimit -u or pids.max)",
				    strerror(-ret));
	}
	/* If not all threads could be started, the others do the work. */
	*out = c;
	end_one(c);
	return 0;
}

int pt_compare_result(const struct pt_compare *c, struct pt_error *err)
{
	if (atomic_load(&c->running_cnt))
		return 0;
	if (c->has_error) {
		*err = c->error_text;
		return c->error;
	}
	if (c->cfg.is_first_only && c->has_found)
		return 1;
	if (must_end(c))
		return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
				    "the source was not read to its end: "
				    "cancelled");
	return 1;
}

__u64 pt_compare_read_sz(const struct pt_compare *c)
{
	return atomic_load_explicit(&c->read_sz, memory_order_relaxed);
}

void pt_compare_cancel(struct pt_compare *c)
{
	if (c)
		atomic_store(&c->stop, true);
}

bool pt_compare_has_ended(const struct pt_compare *c)
{
	return !c || !atomic_load(&c->running_cnt);
}

void pt_compare_stop(struct pt_compare *c)
{
	if (!c)
		return;
	pt_compare_cancel(c);
	threads_join(c);
	free(c);
}

/* is_few: the pages take less time than threads to start. */
static bool is_few(const struct pt_compare *c)
{
	__u64 cnt = 0;

	if (!c->cfg.pages)
		return c->region_cnt <= PT_COMPARE_FEW / PT_REGION_PAGES;
	for (__u64 i = 0; i < c->region_cnt * PT_REGION_WORDS; i++)
		cnt += __builtin_popcountll(c->cfg.pages[i]);
	return cnt <= PT_COMPARE_FEW;
}

int pt_compare_run(const struct pt_compare_cfg *cfg,
		   const atomic_bool *cancelled, struct pt_error *err)
{
	struct pt_compare c = { 0 };
	int ret;

	init(&c, cfg, cancelled);
	c.cfg.wake_fd = -1;
	if (!is_few(&c))
		threads_start(&c, threads_wanted(c.region_cnt) - 1);
	work(&c);
	end_one(&c);
	threads_join(&c);
	ret = pt_compare_result(&c, err);
	return ret == 1 ? 0 : ret;
}
