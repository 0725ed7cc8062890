/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_held.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include "base/thread.h"

#include "sink/image.h"

#define BATCH_REGIONS	(PT_DIGESTS_MAX / PT_REGION_PAGES)
#define QUEUED_SZ_MAX	(PT_CONN_OUT_SZ / 4)	/* leaves room for other
						 * messages */
#define REGION_SZ	((__u64)PT_REGION_PAGES * PT_PAGE_SZ)

/* telling: adjacent regions that go into one message. */
struct telling {
	__u64 region_first;
	__u32 region_cnt;
	__u64 digests[PT_DIGESTS_MAX];
	struct pt_held_region held;	/* read last */
	__u64 data_from;		/* the sink's last range of data, */
	__u64 data_to;			/* in bytes of the image */
	bool is_end;			/* there is no data behind it */
	__u8 pages[PT_REGION_PAGES * PT_PAGE_SZ];
};

static int say_now(struct pt_rx_held *h, const struct pt_message *m)
{
	int ret = -ECANCELED;

	pthread_mutex_lock(&h->lock);
	if (!atomic_load(&h->stop))
		ret = pt_conn_queued_sz(h->conn) > QUEUED_SZ_MAX
			? -ENOBUFS : pt_conn_send(h->conn, m, &h->error);
	pthread_mutex_unlock(&h->lock);
	return ret;
}

/* say waits until the sender has taken most of the earlier messages. */
static int say(struct pt_rx_held *h, const struct pt_message *m)
{
	int ret;

	while ((ret = say_now(h, m)) == -ENOBUFS)
		poll(NULL, 0, 2);
	return ret;
}

static int flush(struct pt_rx_held *h, struct telling *t)
{
	struct pt_message m = {
		.type = PT_MSG_HELD,
		.held = {
			.region_first = t->region_first,
			.digest_cnt = t->region_cnt * PT_REGION_PAGES,
			.digest = t->digests,
		},
	};

	if (!t->region_cnt)
		return 0;
	t->region_cnt = 0;
	return say(h, &m);
}

static int say_end(struct pt_rx_held *h)
{
	struct pt_message m = {
		.type = PT_MSG_HELD,
		.held = {
			.region_first = pt_layout_region_cnt(h->layout),
		},
	};

	/* Set it first, since the sender may answer before we return. */
	atomic_store(&h->intake->is_closed, false);
	atomic_store(&h->is_told, true);
	return say(h, &m);
}

/* has_data: some byte of [off, end) is no hole.  It asks the sink only if its
 * last answer does not cover the range. */
static bool has_data(const struct pt_rx_held *h, struct telling *t, __u64 off,
		     __u64 end)
{
	if (!t->is_end && off >= t->data_to)
		t->is_end = !pt_sink_data(h->sink, off, &t->data_from,
					  &t->data_to);
	return !t->is_end && end > t->data_from;
}

static int tell_region(struct pt_rx_held *h, struct telling *t,
		       __u64 region_idx)
{
	int ret = pt_rebuild_held(h->rebuild, region_idx, t->pages, &t->held,
				  &h->error);
	__u64 page_cnt = 0;

	if (ret)
		return ret;
	pt_rebuild_import(h->rebuild, region_idx, &t->held);
	for (__u32 i = 0; i < PT_REGION_PAGES / 64; i++)
		page_cnt += __builtin_popcountll(t->held.has_data[i]);
	atomic_fetch_add(&h->page_cnt, page_cnt);
	if (!t->region_cnt)
		t->region_first = region_idx;
	memcpy(&t->digests[t->region_cnt * PT_REGION_PAGES], t->held.digests,
	       sizeof(t->held.digests));
	return ++t->region_cnt < BATCH_REGIONS ? 0 : flush(h, t);
}

static int tell_all(struct pt_rx_held *h, struct telling *t)
{
	__u64 region_cnt = pt_layout_region_cnt(h->layout);
	int ret = 0;

	for (__u64 r = 0; !ret && r < region_cnt; r++) {
		__u64 off = pt_layout_image_off(h->layout,
						r * PT_REGION_PAGES);
		__u32 page_cnt = pt_layout_region(h->layout, r, NULL);

		if (atomic_load(&h->stop))
			return -ECANCELED;
		ret = has_data(h, t, off, off + page_cnt * PT_PAGE_SZ)
			? tell_region(h, t, r) : flush(h, t);
	}
	if (!ret)
		ret = flush(h, t);
	return ret ? ret : say_end(h);
}

static void *held_main(void *arg)
{
	struct pt_rx_held *h = arg;
	struct telling *t = calloc(1, sizeof(*t));
	int ret = t ? tell_all(h, t)
		    : pt_error_set(&h->error, PT_EXIT_HOST, -ENOMEM,
				   "no memory to read the kept data");

	free(t);
	if (ret && ret != -ECANCELED) {
		atomic_store(&h->failed, ret);
		eventfd_write(h->wake_fd, 1);
	}
	return NULL;
}

int pt_rx_held_start(struct pt_rx_held *h, struct pt_error *err)
{
	int ret;

	pthread_mutex_init(&h->lock, NULL);
	ret = pt_thread_start(&h->thread, held_main, h, "pt-held");
	if (ret) {
		pthread_mutex_destroy(&h->lock);
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a "
				    "thread: %s (memory, ulimit -u or pids.max)",
				    strerror(-ret));
	}
	h->has_thread = true;
	return 0;
}

bool pt_rx_held_is_told(const struct pt_rx_held *h)
{
	return !h->has_thread || atomic_load(&h->is_told);
}

void pt_rx_held_cancel(struct pt_rx_held *h)
{
	/* Once it is cancelled, the stopping thread owns thread and lock, and
	 * may be destroying them. */
	if (atomic_load(&h->stop) || !h->has_thread)
		return;
	pthread_mutex_lock(&h->lock);
	atomic_store(&h->stop, true);
	pthread_mutex_unlock(&h->lock);
}

void pt_rx_held_stop(struct pt_rx_held *h)
{
	if (!h->has_thread)
		return;
	pt_rx_held_cancel(h);
	pthread_join(h->thread, NULL);
	pthread_mutex_destroy(&h->lock);
	h->has_thread = false;
}
