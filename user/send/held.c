/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/held.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"
#include "source/scan_batch.h"

#define STEP_REGIONS	8
#define STEP_SKIPS	65536	/* dirty regions, which need no comparison */
#define WAIT_MS		100	/* for the next HELD, between checks of its deadline */
#define DOUBT_NS	1000000000ULL	/* for control to read received messages */

void pt_held_init(struct pt_held *h, const struct pt_send_job *job)
{
	*h = (struct pt_held){ .job = job, .heard_ns = pt_clock_ns(),
			       .told_fd = -1 };
	pt_view_init(&h->view);
}

void pt_held_free(struct pt_held *h)
{
	pt_view_free(&h->view);
	if (h->told_fd >= 0)
		close(h->told_fd);
	h->told_fd = -1;
}

/* mark_until makes the regions from region_told to end dirty. */
static void mark_until(struct pt_held *h, __u64 end)
{
	for (; h->region_told < end; h->region_told++)
		pt_dirty_set(h->job->dirty, h->region_told * PT_REGION_PAGES,
			     pt_layout_region(h->job->layout, h->region_told,
					      NULL));
}

void pt_held_skip(struct pt_held *h)
{
	mark_until(h, pt_layout_region_cnt(h->job->layout));
	h->region_next = h->region_told;
	h->is_told = true;
}

int pt_held_take(struct pt_held *h, const struct pt_msg_held *m,
		 struct pt_error *err)
{
	__u64 region_cnt = pt_layout_region_cnt(h->job->layout);
	__u64 cnt = m->digest_cnt / PT_REGION_PAGES;

	if (m->digest_cnt % PT_REGION_PAGES ||
	    m->region_first < h->region_told || m->region_first > region_cnt ||
	    cnt > region_cnt - m->region_first || h->is_told ||
	    (!cnt && m->region_first != region_cnt))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "receiver: sent "
				    "HELD for regions that are not the next "
				    "ones (another version of pagetrim?)");
	h->heard_ns = pt_clock_ns();
	mark_until(h, m->region_first);
	for (__u64 i = 0; i < cnt; i++) {
		__u64 r = m->region_first + i;
		__u32 page_cnt = pt_layout_region(h->job->layout, r, NULL);

		/* Digests of indices without a page would falsify sums. */
		pt_digests_copy(h->job->digests, r,
				&m->digest[i * PT_REGION_PAGES], page_cnt);
	}
	h->region_told = m->region_first + cnt;
	h->is_told = !cnt;
	if (h->told_fd >= 0)
		eventfd_write(h->told_fd, 1);
	return 0;
}

bool pt_held_is_waiting(const struct pt_held *h)
{
	return h->region_next == h->region_told;
}

static int compare_batch(struct pt_held *h, __u32 first, struct pt_error *err)
{
	__u64 page_idx = h->region_next * PT_REGION_PAGES + first;
	struct pt_scan_batch batch = pt_scan_batch_of(&h->view, h->job->layout,
						      h->region_next, first);
	int ret;

	batch.search = ~0ULL;	/* for block_bytes */
	ret = pt_scan_batch_read(&batch, h->job->source, h->job->digest_key, err);
	if (ret)
		return ret;
	for (unsigned i = 0; i < 64 && batch.wanted >> i & 1; i++) {
		__u64 mask = pt_trim_mask(h->job->trim, batch.masks[i]);

		if (batch.digests[i] !=
		    pt_digests_get(h->job->digests, page_idx + i)) {
			pt_dirty_set(h->job->dirty, page_idx + i, 1);
			continue;
		}
		h->page_cnt += mask != 0;
		h->block_bytes += __builtin_popcountll(mask) * PT_BLOCK_SZ;
	}
	return 0;
}

/* compare_region makes the differing pages of region_next dirty. */
static int compare_region(struct pt_held *h, struct pt_error *err)
{
	int ret = pt_source_view(h->job->source, &h->view, h->job->layout,
				 h->region_next, err);

	for (__u32 first = 0; !ret && first < h->view.page_cnt; first += 64)
		ret = compare_batch(h, first, err);
	return ret;
}

/* wait_on fails if no HELD comes, although the connection lives.  A late HELD
 * gets DOUBT_NS more, since a process that was stopped has not yet read
 * messages that came meanwhile. */
static int wait_on(struct pt_held *h, struct pt_error *err)
{
	__u64 now_ns = pt_clock_ns();

	if (now_ns - h->heard_ns <= h->job->progress_ns) {
		h->doubt_ns = 0;
		return 0;
	}
	if (!h->doubt_ns)
		h->doubt_ns = now_ns;
	if (now_ns - h->doubt_ns <= DOUBT_NS)
		return 0;
	return pt_error_set(err, PT_EXIT_PEER, -ETIMEDOUT, "receiver: answers, "
			    "but has not sent HELD for %llu s (is its disk "
			    "stuck?)",
			    h->job->progress_ns / 1000000000ULL);
}

int pt_held_step(struct pt_held *h, struct pt_error *err)
{
	unsigned compared = 0;

	for (unsigned i = 0; i < STEP_SKIPS && compared < STEP_REGIONS; i++) {
		bool is_told = h->is_told;	/* read before region_told */
		int ret = 0;

		if (pt_held_is_waiting(h))
			return is_told ? 1 : wait_on(h, err);
		if (!pt_dirty_cnt(h->job->dirty, h->region_next)) {
			ret = compare_region(h, err);
			compared++;
		}
		if (ret)
			return ret;
		h->region_next++;
	}
	return 0;
}

static void *held_main(void *arg)
{
	struct pt_held *h = arg;
	struct pollfd told = { .fd = h->told_fd, .events = POLLIN };
	eventfd_t value;
	int ret = 0;

	while (!ret && !h->stop) {
		ret = pt_held_step(h, &h->error);
		if (!ret && pt_held_is_waiting(h) &&
		    poll(&told, 1, WAIT_MS) > 0)
			eventfd_read(h->told_fd, &value);
	}
	h->result = ret;
	h->is_over = true;
	eventfd_write(h->job->wake_fd, 1);
	return NULL;
}

int pt_held_start(struct pt_held *h, struct pt_error *err)
{
	int ret;

	h->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = h->told_fd < 0 ? -errno
			     : pt_thread_start(&h->thread, held_main, h,
					       "pt-compare");
	h->has_thread = !ret;
	return ret ? pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a thread "
				  "to compare the source: %s (memory, ulimit -u "
				  "or -n, or pids.max)", strerror(-ret)) : 0;
}

int pt_held_result(const struct pt_held *h, struct pt_error *err)
{
	if (!h->is_over)
		return 0;
	if (h->result < 0)
		*err = h->error;
	return h->result;
}

void pt_held_cancel(struct pt_held *h)
{
	h->stop = true;
	if (h->has_thread)
		eventfd_write(h->told_fd, 1);
}

bool pt_held_has_ended(const struct pt_held *h)
{
	return !h->has_thread || h->is_over;
}

void pt_held_stop(struct pt_held *h)
{
	if (!h->has_thread)
		return;
	pt_held_cancel(h);
	pthread_join(h->thread, NULL);
	h->has_thread = false;
}
