/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_storage.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "receive/rx_large.h"
#include "receive/rx_resume.h"
#include "sink/sink_large.h"

/* --- jobs, in the store's thread ------------------------------------- */

static int open_job(void *arg, const void *bytes, size_t sz,
		    struct pt_error *err)
{
	int ret = pt_rx_sink_open(arg, err);

	(void)bytes;
	(void)sz;
	return ret ? ret : pt_rx_large_begin(arg, err);
}

static int file_job(void *arg, const void *bytes, size_t sz,
		    struct pt_error *err)
{
	const struct pt_msg_file *m = bytes;
	const struct pt_rx_session *s = arg;

	(void)sz;
	return pt_sink_file_begin(s->storage.sink, m->name, m->sz, err);
}

static int file_data_job(void *arg, const void *bytes, size_t sz,
			 struct pt_error *err)
{
	const struct pt_rx_session *s = arg;

	return pt_sink_file_write(s->storage.sink, bytes, sz, err);
}

/* settles: the digests that are compared now are the last that read the memory. */
static bool settles(const struct pt_rx_session *s)
{
	return s->fill.is_told && !s->fill.is_ready;
}

/* compare_region holds the lock for one region only, since it may read pages
 * whose frames came out of order. */
static int compare_region(struct pt_rx_session *s, __u64 region_idx,
			  __u64 theirs, struct pt_error *err)
{
	__u64 ours;
	int ret;

	pthread_rwlock_wrlock(&s->intake.place_lock);
	ret = settles(s) ? pt_rebuild_settle(s->memory.rebuild, region_idx, err) : 0;
	if (!ret)
		ret = pt_rebuild_region_digest(s->memory.rebuild, region_idx, &ours, err);
	pthread_rwlock_unlock(&s->intake.place_lock);
	if (ret || ours == theirs)
		return ret;
	s->compare.has_mismatch = true;
	s->compare.region = region_idx;
	return 0;
}

/* await_placers: a sender without PT_CAP_ARRIVALS does not know what is placed,
 * and sends digests as soon as all frames have arrived.  A transfer that ends
 * drops the rest. */
static void await_placers(const struct pt_rx_session *s)
{
	while (!pt_intake_is_placed(&s->intake))
		poll(NULL, 0, 1);
}

/* name_unreadable has the report name those of a guest that runs, which are marked already. */
static void name_unreadable(struct pt_rx_session *s)
{
	__u64 page_idx = 0, cnt;

	s->report.unreadable = (struct pt_page_names){ 0 };
	while ((cnt = pt_rebuild_unreadable_next(s->memory.rebuild, &page_idx))) {
		pt_page_names_add(&s->report.unreadable,
				  pt_layout_gfn(s->memory.layout, page_idx), cnt);
		page_idx += cnt;
	}
}

/* mark_unreadable tells the sink, and the report, which pages have no content. */
static int mark_unreadable(struct pt_rx_session *s, struct pt_error *err)
{
	__u64 page_idx = 0, cnt;
	int ret = 0;

	s->report.unreadable = (struct pt_page_names){ 0 };
	while (!ret && (cnt = pt_rebuild_unreadable_next(s->memory.rebuild,
							 &page_idx))) {
		ret = pt_sink_mark(s->storage.sink,
				   pt_layout_image_off(s->memory.layout, page_idx),
				   cnt * PT_PAGE_SZ, err);
		pt_page_names_add(&s->report.unreadable,
				  pt_layout_gfn(s->memory.layout, page_idx), cnt);
		page_idx += cnt;
	}
	return ret;
}

/* settle_guest is done before the source hears that all is right: a failure leaves the
 * guest with it, and the state of the devices is loaded after it. */
static int settle_guest(struct pt_rx_session *s, struct pt_error *err)
{
	int ret = mark_unreadable(s, err);

	return ret ? ret : pt_sink_sync(s->storage.sink, err);
}

/* is_compared: all regions are, and are right. */
static bool is_compared(const struct pt_rx_session *s)
{
	return !s->compare.has_mismatch &&
	       s->compare.region_done == pt_layout_region_cnt(s->memory.layout);
}

/* fill readies the memory for a guest that lacks some of it: all that is here was
 * compared. */
static int fill(struct pt_rx_session *s, struct pt_error *err)
{
	const struct pt_receive_guest *guest = s->cfg->guest;
	int ret;

	guest->tell(guest->arg, s->poll.wake_fd);
	pthread_rwlock_wrlock(&s->intake.place_lock);
	ret = pt_rebuild_fill(s->memory.rebuild, err);
	pthread_rwlock_unlock(&s->intake.place_lock);
	return ret;
}

/* compare_job: the bytes are digests of the next regions. */
static int compare_job(void *arg, const void *bytes, size_t sz,
		       struct pt_error *err)
{
	struct pt_rx_session *s = arg;
	const __u64 *digests = bytes;
	__u64 cnt = sz / sizeof(*digests);
	int ret = 0;

	await_placers(s);
	for (__u64 i = 0; !ret && i < cnt && !s->compare.has_mismatch; i++)
		ret = compare_region(s, s->compare.region_done + i, digests[i],
				     err);
	s->compare.region_done += cnt;
	if (!ret && s->cfg->guest && !s->fill.is_ready && is_compared(s))
		ret = settle_guest(s, err);
	if (!ret && settles(s) && is_compared(s))
		ret = fill(s, err);
	return ret;
}

/* lack_job: the bytes are ranges of guest pages, checked. */
static int lack_job(void *arg, const void *bytes, size_t sz, struct pt_error *err)
{
	struct pt_rx_session *s = arg;
	const struct pt_seq_range *ranges = bytes;
	int ret = 0;

	await_placers(s);
	pthread_rwlock_wrlock(&s->intake.place_lock);
	for (size_t i = 0; !ret && i < sz / sizeof(*ranges); i++) {
		__u64 page_idx = 0;

		pt_layout_find(s->memory.layout, ranges[i].first, &page_idx);
		ret = pt_rebuild_lack(s->memory.rebuild, page_idx, ranges[i].cnt, err);
	}
	pthread_rwlock_unlock(&s->intake.place_lock);
	return ret;
}

static int run_job(void *arg, const void *bytes, size_t sz, struct pt_error *err)
{
	struct pt_rx_session *s = arg;
	const struct pt_receive_guest *guest = s->cfg->guest;
	int ret = guest->loaded(guest->arg, err);

	(void)bytes;
	(void)sz;
	if (!ret) {
		guest->running(guest->arg, s->fill.guest_id);
		ret = guest->run(guest->arg, err);
	}
	if (!ret)
		atomic_store(&s->fill.has_run, true);
	else if (err->exit != PT_EXIT_UNKNOWN) {
		guest->running(guest->arg, 0);
		atomic_store(&s->fill.does_not_run, true);
	}
	return ret;
}

/* run_rest_job: the guest may have been left just before it was run.  QEMU may wait for a
 * page: data flows meanwhile. */
static int run_rest_job(void *arg, const void *bytes, size_t sz, struct pt_error *err)
{
	const struct pt_rx_session *s = arg;

	(void)bytes;
	(void)sz;
	return s->cfg->guest->run(s->cfg->guest->arg, err);
}

static int mismatch_job(void *arg, const void *bytes, size_t sz,
			struct pt_error *err)
{
	struct pt_rx_session *s = arg;
	int cnt = pt_rebuild_page_digests(s->memory.rebuild, s->compare.region,
					  s->compare.differing, err);

	(void)bytes;
	(void)sz;
	s->compare.differing_cnt = cnt < 0 ? 0 : cnt;
	return cnt < 0 ? cnt : 0;
}

/* commit_job: the large pages are counted once a guest runs, not before. */
static int commit_job(void *arg, const void *bytes, size_t sz,
		      struct pt_error *err)
{
	struct pt_rx_session *s = arg;
	const struct pt_receive_guest *guest = s->cfg->guest;
	int ret = guest ? 0 : mark_unreadable(s, err);

	(void)bytes;
	(void)sz;
	if (!ret && !guest)
		ret = pt_sink_sync(s->storage.sink, err);
	if (s->fill.is_handed)
		name_unreadable(s);
	if (!ret && guest && !s->fill.is_handed)
		ret = guest->loaded(guest->arg, err);
	if (!ret)
		ret = pt_sink_commit(s->storage.sink, err);
	if (!ret)
		pt_rx_large_report(s);
	return ret;
}

/* close_sink does not keep a copy that differs from the source. */
static void close_sink(struct pt_rx_session *s)
{
	const struct pt_receive_guest *guest = s->cfg->guest;
	bool is_wrong = s->report.result && s->report.error.exit == PT_EXIT_MISMATCH;

	if (is_wrong)
		pt_sink_invalidate(s->storage.sink);
	if (s->fill.is_handed && (s->compare.has_mismatch || s->report.unaccounted))
		guest->wrong(guest->arg, s->report.error.text);
	s->report.is_kept = s->report.result && pt_sink_is_kept(s->storage.sink);
	pt_sink_large_end(s->storage.sink);
	if (s->storage.sink != s->cfg->sink)
		pt_sink_close(s->storage.sink);
	s->storage.sink = NULL;
}

static int clear_job(void *arg, const void *bytes, size_t sz,
		     struct pt_error *err)
{
	struct pt_rx_session *s = arg;

	(void)bytes;
	(void)sz;
	(void)err;
	pt_rx_held_stop(&s->held);
	if (s->report.is_resumed)
		s->report.held_page_cnt = atomic_load(&s->held.page_cnt);
	pt_intake_free(&s->intake);
	pt_rebuild_destroy(s->memory.rebuild);
	s->memory.rebuild = NULL;
	if (s->storage.sink)
		close_sink(s);
	return 0;
}

/* --- control's -------------------------------------------------------- */

int pt_rx_storage_open(struct pt_rx_session *s, struct pt_error *err)
{
	int ret = pt_store_open(&s->storage.store, s, s->poll.wake_fd, err);

	return ret ? ret : pt_store_put(s->storage.store, open_job, NULL, 0, err);
}

int pt_rx_storage_file(struct pt_rx_session *s, const struct pt_msg_file *m,
		       struct pt_error *err)
{
	return pt_store_put(s->storage.store, file_job, m, sizeof(*m), err);
}

int pt_rx_storage_file_data(struct pt_rx_session *s,
			    const struct pt_msg_file_data *m,
			    struct pt_error *err)
{
	return pt_store_put(s->storage.store, file_data_job, m->data,
			    m->data_sz, err);
}

int pt_rx_storage_compare(struct pt_rx_session *s,
			  const struct pt_msg_digests *m, struct pt_error *err)
{
	return pt_store_put(s->storage.store, compare_job, m->digest,
			    m->digest_cnt * sizeof(*m->digest), err);
}

int pt_rx_storage_lack(struct pt_rx_session *s, const struct pt_msg_pages_lacking *m,
		       struct pt_error *err)
{
	return pt_store_put(s->storage.store, lack_job, m->page,
			    m->page_cnt * sizeof(*m->page), err);
}

int pt_rx_storage_run(struct pt_rx_session *s, struct pt_error *err)
{
	return pt_store_put(s->storage.store, run_job, NULL, 0, err);
}

int pt_rx_storage_run_rest(struct pt_rx_session *s, struct pt_error *err)
{
	return pt_store_put(s->storage.store, run_rest_job, NULL, 0, err);
}

int pt_rx_storage_mismatch(struct pt_rx_session *s, struct pt_error *err)
{
	return pt_store_put(s->storage.store, mismatch_job, NULL, 0, err);
}

int pt_rx_storage_commit(struct pt_rx_session *s, struct pt_error *err)
{
	return pt_store_put(s->storage.store, commit_job, NULL, 0, err);
}

void pt_rx_storage_clear(struct pt_rx_session *s)
{
	pt_rx_held_cancel(&s->held);
	if (s->storage.store)
		pt_store_end(s->storage.store, clear_job);
}

bool pt_rx_storage_is_clear(const struct pt_rx_session *s)
{
	return !s->storage.store || pt_store_is_over(s->storage.store);
}

bool pt_rx_storage_is_idle(const struct pt_rx_session *s)
{
	return (!s->storage.store || pt_store_is_idle(s->storage.store)) &&
	       (!s->share.is_on_host || pt_intake_is_placed(&s->intake));
}

__u64 pt_rx_storage_since_ns(const struct pt_rx_session *s)
{
	__u64 store_ns = s->storage.store ? pt_store_since_ns(s->storage.store) : 0;
	__u64 place_ns = s->share.is_on_host ? pt_intake_since_ns(&s->intake) : 0;

	return store_ns && (!place_ns || store_ns < place_ns) ? store_ns
							      : place_ns;
}
