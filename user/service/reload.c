/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "service/reload.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"

#define CLOSE_MS	1000

struct pt_reload {
	struct pt_reload_cfg cfg;
	pthread_t thread;
	int asked_fd, done_fd;		/* eventfd */
	atomic_bool is_closing;
	pthread_mutex_t lock;		/* of the rest */
	unsigned asked_cnt;		/* requests */
	unsigned read_cnt;		/* requests that the result answers */
	struct pt_reloaded result;
	struct pt_error err;
	int ret;			/* of the last; 0: none, or taken */
};

static void drop(struct pt_reloaded *result)
{
	pt_tls_close(result->tls);
	pt_peers_close(result->peers);
	*result = (struct pt_reloaded){ 0 };
}

static unsigned asked(struct pt_reload *r)
{
	unsigned cnt;

	pthread_mutex_lock(&r->lock);
	cnt = r->asked_cnt;
	pthread_mutex_unlock(&r->lock);
	return cnt;
}

/* put replaces a result that was not taken. */
static void put(struct pt_reload *r, unsigned cnt, int ret,
		const struct pt_reloaded *result, const struct pt_error *err)
{
	pthread_mutex_lock(&r->lock);
	drop(&r->result);
	r->result = *result;
	r->ret = ret ? ret : 1;
	r->err = *err;
	r->read_cnt = cnt;
	pthread_mutex_unlock(&r->lock);
	eventfd_write(r->done_fd, 1);
}

/* read_all reads all files; a failure leaves nothing. */
static int read_all(const struct pt_reload_cfg *cfg, struct pt_reloaded *out,
		    struct pt_error *err)
{
	int ret = pt_tls_open(&out->tls, PT_ROLE_RECEIVER, cfg->tls, err);

	if (!ret && cfg->peers_path)
		ret = pt_peers_open(&out->peers, cfg->peers_path,
				    cfg->peers_base, err);
	if (ret)
		drop(out);
	return ret;
}

static void *reload_main(void *arg)
{
	struct pt_reload *r = arg;
	struct pt_error err = { 0 };
	struct pt_reloaded result;
	eventfd_t woken;
	unsigned cnt;
	int ret;

	while (!eventfd_read(r->asked_fd, &woken) && !r->is_closing) {
		cnt = asked(r);
		result = (struct pt_reloaded){ 0 };
		ret = read_all(&r->cfg, &result, &err);
		put(r, cnt, ret, &result, &err);
	}
	return NULL;
}

static void release(struct pt_reload *r)
{
	if (r->asked_fd >= 0)
		close(r->asked_fd);
	if (r->done_fd >= 0)
		close(r->done_fd);
	drop(&r->result);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

int pt_reload_open(struct pt_reload **out, const struct pt_reload_cfg *cfg,
		   struct pt_error *err)
{
	struct pt_reload *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	r->cfg = *cfg;
	pthread_mutex_init(&r->lock, NULL);
	r->asked_fd = eventfd(0, EFD_CLOEXEC);
	r->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = r->asked_fd < 0 || r->done_fd < 0 ? -errno :
	      pt_thread_start(&r->thread, reload_main, r, "pt-reload");
	if (!ret) {
		*out = r;
		return 0;
	}
	release(r);
	return pt_error_set(err, PT_EXIT_HOST, ret, "cannot prepare to "
			    "read keys again: %s (memory, ulimit "
			    "-u or -n, or pids.max)",
			    strerror(-ret));
}

void pt_reload_ask(struct pt_reload *r)
{
	/* Told under the lock, so that no READY=1 of before comes after it. */
	pthread_mutex_lock(&r->lock);
	r->asked_cnt++;
	pt_notify_reloading(r->cfg.notify);
	pthread_mutex_unlock(&r->lock);
	eventfd_write(r->asked_fd, 1);
}

int pt_reload_fd(const struct pt_reload *r)
{
	return r ? r->done_fd : -1;
}

int pt_reload_take(struct pt_reload *r, struct pt_reloaded *out,
		   struct pt_error *err)
{
	eventfd_t done;
	int ret;

	if (!r || eventfd_read(r->done_fd, &done))
		return 0;
	pthread_mutex_lock(&r->lock);
	ret = r->ret;
	*out = r->result;
	*err = r->err;
	r->ret = 0;
	r->result = (struct pt_reloaded){ 0 };
	if (ret && r->read_cnt == r->asked_cnt)
		pt_notify_say(r->cfg.notify, "READY=1");
	pthread_mutex_unlock(&r->lock);
	return ret;
}

bool pt_reload_close(struct pt_reload *r)
{
	struct timespec until;
	__u64 until_ns = pt_deadline_ns(CLOSE_MS);

	if (!r)
		return true;
	until.tv_sec = until_ns / 1000000000;
	until.tv_nsec = until_ns % 1000000000;
	r->is_closing = true;
	eventfd_write(r->asked_fd, 1);
	if (pthread_clockjoin_np(r->thread, NULL, CLOCK_MONOTONIC, &until))
		return false;
	release(r);
	return true;
}
