/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/receiver_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"
#include "base/due.h"
#include "net/local.h"
#include "receive/rx_resume.h"
#include "session/compression.h"

#define EVENTS_MAX	8
#define WATCH_NS	1000000000ULL	/* between two checks of the device */

static int watch(struct pt_receiver *r, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fd == r->loop.cancel_fd)	/* stays readable: step would spin */
		event.events |= EPOLLET;
	return epoll_ctl(r->loop.poll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_loop(struct pt_receiver *r, struct pt_error *err)
{
	struct pt_receiver_loop *loop = &r->loop;

	loop->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	loop->cancel_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	loop->tick_fd = timerfd_create(CLOCK_MONOTONIC,
				       TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->poll_fd >= 0 && loop->wake_fd >= 0 && loop->cancel_fd >= 0 &&
	    loop->tick_fd >= 0 && !watch(r, loop->wake_fd) &&
	    !watch(r, loop->cancel_fd) && !watch(r, loop->tick_fd) &&
	    !watch(r, pt_linger_fd(r->linger)))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -errno, "no descriptors to wait "
			    "on: %m%s", pt_files_remedy(-errno));
}

static void close_loop(const struct pt_receiver_loop *loop)
{
	const int fds[] = {
		loop->poll_fd, loop->wake_fd, loop->cancel_fd, loop->tick_fd,
	};

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void set_defaults(struct pt_receiver_cfg *cfg)
{
	if (!cfg->ciphers)
		cfg->ciphers = pt_ciphers_here();
	if (!cfg->peer_timeout_ms)
		cfg->peer_timeout_ms = PT_PEER_TIMEOUT_MS;
	if (!cfg->memory_sz_max)
		cfg->memory_sz_max = PT_RECEIVER_MEMORY_SZ;
	if (!cfg->files_sz_max)
		cfg->files_sz_max = PT_RECEIVER_FILES_SZ;
	if (!cfg->peer.transfers)
		cfg->peer.transfers = PT_RECEIVER_PEER_TRANSFERS;
}

static void init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

static int open_host(struct pt_receiver *r, struct pt_error *err)
{
	const struct pt_rx_host_cfg host = {
		.dev = r->cfg.dev,
		.queue_cnt = r->cfg.queue_cnt,
		.generic = r->cfg.generic,
		.zero_copy = r->cfg.zero_copy,
		.hugepages = r->cfg.hugepages,
		.profile = r->cfg.profile,
		.cpus = r->cfg.cpus,
		.memory_sz_max = r->cfg.memory_sz_max,
		.peer = r->cfg.peer,
		.stop_fd = r->loop.cancel_fd,
	};

	return pt_rx_host_open(&r->host, &host, err);
}

static int open_listener(struct pt_receiver *r,
			 const struct pt_address *listen, struct pt_error *err)
{
	const struct pt_conn_cfg conn = {
		.role = PT_ROLE_RECEIVER,
		.capabilities = PT_CAP_COPIES | PT_CAP_ARRIVALS |
				PT_CAP_WORKING | PT_CAP_LIVE | PT_CAP_DELTAS |
				PT_CAP_RATE |
				(r->cfg.large_pages == PT_LARGE_PAGES_OFF
				 ? 0 : PT_CAP_LARGE) |
				(r->cfg.guest && r->cfg.guest->run
				 ? PT_CAP_POSTCOPY : 0) |
				PT_CAP_UNREADABLE | pt_compression_caps(),
		.tls = r->cfg.tls,
	};
	int ret = pt_listener_open(&r->listener, listen, &conn, err);

	if (!ret)
		pt_rx_host_listen(&r->host, pt_listener_address(r->listener));
	return ret;
}

int pt_receiver_open(struct pt_receiver **out, const struct pt_receiver_cfg *cfg,
		     struct pt_error *err)
{
	struct pt_address listen;
	struct pt_receiver *r;
	int ret;

	if (cfg->prealloc_sz && (cfg->serve || cfg->resume))
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "{prealloc} "
				    "is for one new image, without {serve} or "
				    "{resume}");
	ret = pt_local_choose(&listen, cfg->listen, PT_UDP_PORT, cfg->dev, err);
	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	r->cfg = *cfg;
	set_defaults(&r->cfg);
	ret = pt_linger_open(&r->linger);
	if (ret) {
		pt_error_set(err, PT_EXIT_HOST, ret, "no descriptors to wait "
			     "on: %s%s", strerror(-ret), pt_files_remedy(ret));
		goto free_receiver;
	}
	ret = open_loop(r, err);
	if (ret)
		goto close_loop;
	ret = open_host(r, err);
	if (ret)
		goto close_loop;
	ret = open_listener(r, &listen, err);
	if (ret)
		goto free_host;
	init_lock(&r->lock);
	*out = r;
	return 0;

free_host:
	pt_rx_host_free(&r->host);
close_loop:
	close_loop(&r->loop);
	pt_linger_close(r->linger);
free_receiver:
	free(r);
	return ret;
}

void pt_receiver_info(const struct pt_receiver *r,
		      struct pt_receiver_info *info)
{
	*info = r->info;
}

/* note_info stores the result of pt_receiver_info, so that it is known after
 * the end. */
static void note_info(struct pt_receiver *r)
{
	struct pt_receiver_info *info = &r->info;
	struct pt_program_info program;
	struct pt_xsk_info xsk;

	pt_address_print(pt_listener_address(r->listener), info->listen);
	if (!pt_local_device(pt_listener_address(r->listener), info->other_dev) ||
	    if_nametoindex(info->other_dev) == if_nametoindex(r->cfg.dev))
		info->other_dev[0] = '\0';
	pt_program_info(r->host.program, &program);
	pt_xsk_info(r->host.xsks[0], &xsk);
	info->generic = program.generic;
	info->pinned = program.pinned;
	info->program_id = program.id;
	info->copy_why = r->host.card.why;
	info->multi_buffer = xsk.multi_buffer;
	info->hugepages = r->host.hugepages;
	info->queue_cnt = r->host.queue_cnt;
	pt_rx_host_sockets(&r->host, info->queues, info->zero_copy);
}

/* start checks the image before it starts any thread. */
static int start(struct pt_receiver *r, struct pt_error *err)
{
	int ret = pt_rx_sink_prepare(&r->reserved, &r->cfg,
				     r->loop.cancel_fd, err);

	return ret ? ret : pt_rx_host_start(&r->host, err);
}

int pt_receiver_start(struct pt_receiver *r, struct pt_error *err)
{
	int ret;

	if (r->was_started)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "the receiver was started already");
	r->was_started = true;
	pthread_mutex_lock(&r->lock);
	ret = start(r, err);
	if (!ret) {
		r->state = PT_RECEIVER_SERVES;
		note_info(r);
		if (r->cfg.wait_ms)
			r->wait_until_ns = pt_deadline_ns(r->cfg.wait_ms);
		pt_receiver_watch(r);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

int pt_receiver_fd(const struct pt_receiver *r)
{
	return r->loop.poll_fd;
}

/* watch_device returns false, with the reason, if no frame can reach the
 * receiver any more.  Without it the senders would wait for the peer
 * timeout. */
static bool watch_device(struct pt_receiver *r, __u64 now_ns,
			 struct pt_error *why)
{
	if (r->is_over || now_ns - r->watched_ns < WATCH_NS)
		return true;
	r->watched_ns = now_ns;
	return !pt_rx_host_watch(&r->host, why);
}

/* quench resets the descriptors that only wake step. */
static void quench(struct pt_receiver *r)
{
	struct epoll_event events[EVENTS_MAX];
	int cnt = epoll_wait(r->loop.poll_fd, events, EVENTS_MAX, 0);
	__u64 value;

	for (int i = 0; i < cnt; i++) {
		int fd = events[i].data.fd;

		if ((fd == r->loop.wake_fd || fd == r->loop.tick_fd) &&
		    read(fd, &value, sizeof(value)) < 0)
			continue;	/* the next step reads it */
	}
}

/* end_wait ends the receiver of one transfer if none was opened in time. */
static void end_wait(struct pt_receiver *r)
{
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->request.is_open)
			r->wait_until_ns = 0;
	if (r->is_over || !r->wait_until_ns ||
	    pt_clock_ns() < r->wait_until_ns)
		return;
	r->is_over = true;
	r->result = pt_error_set(&r->error, PT_EXIT_PEER, -ETIMEDOUT, "no sender "
				 "has opened a transfer within %u s ({wait})",
				 r->cfg.wait_ms / 1000);
}

/* is_drained: no transfer is left, nor its storage, nor a sender that may ask how
 * one ended. */
static bool is_drained(const struct pt_receiver *r)
{
	if (!r->host.is_draining)
		return false;
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->request.is_open)
			return false;
	return pt_clock_ns() >= r->linger_until_ns;
}

static void serve(struct pt_receiver *r)
{
	r->host.is_draining = atomic_load(&r->loop.drains);
	pt_receiver_turn(r);
	end_wait(r);
	r->end.is_deaf = !watch_device(r, pt_clock_ns(), &r->end.why);
	if (atomic_load(&r->loop.cancel_cnt) || r->end.is_deaf ||
	    is_drained(r) ||
	    (r->is_over && pt_clock_ns() >= r->linger_until_ns))
		pt_receiver_end_begin(r);
}

int pt_receiver_step(struct pt_receiver *r, struct pt_error *err)
{
	int ret = 1;

	pthread_mutex_lock(&r->lock);
	quench(r);
	if (r->state == PT_RECEIVER_SERVES)
		serve(r);
	else if (r->state != PT_RECEIVER_OPEN &&
		 r->state != PT_RECEIVER_OVER)
		pt_receiver_end_go_on(r);
	if (r->state == PT_RECEIVER_OPEN) {
		ret = pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				   "the receiver was not started, or its "
				   "start failed");
	} else if (r->state == PT_RECEIVER_OVER) {
		ret = r->result;
		if (ret && err)
			*err = r->error;
	} else {
		pt_receiver_watch(r);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void pt_receiver_allow(struct pt_receiver *r, const struct pt_peers *peers)
{
	pthread_mutex_lock(&r->lock);
	r->cfg.peers = peers;
	pthread_mutex_unlock(&r->lock);
}

void pt_receiver_secure(struct pt_receiver *r, struct pt_tls *tls)
{
	pthread_mutex_lock(&r->lock);
	if (r->listener)
		pt_listener_secure(r->listener, tls);
	pthread_mutex_unlock(&r->lock);
}

void pt_receiver_drain(struct pt_receiver *r)
{
	atomic_store(&r->loop.drains, true);
	eventfd_write(r->loop.wake_fd, 1);
}

bool pt_receiver_is_draining(const struct pt_receiver *r)
{
	return atomic_load(&r->loop.drains);
}

void pt_receiver_cancel(struct pt_receiver *r)
{
	atomic_fetch_add(&r->loop.cancel_cnt, 1);
	eventfd_write(r->loop.cancel_fd, 1);
}

/* stop cancels, and steps until the end. */
static void stop(struct pt_receiver *r)
{
	struct pollfd fd = { .fd = r->loop.poll_fd, .events = POLLIN };

	if (!atomic_load(&r->loop.cancel_cnt))
		pt_receiver_cancel(r);
	while (pt_receiver_step(r, NULL) > 0)
		poll(&fd, 1, -1);
}

bool pt_receiver_close(struct pt_receiver *r)
{
	if (!r)
		return true;
	if (r->state != PT_RECEIVER_OPEN && r->state != PT_RECEIVER_OVER)
		stop(r);
	if (r->is_abandoned)	/* threads still use it */
		return false;
	pt_listener_close(r->listener);
	pt_linger_close(r->linger);
	pt_rx_host_free(&r->host);
	if (r->reserved != r->cfg.sink)
		pt_sink_close(r->reserved);
	close_loop(&r->loop);
	pthread_mutex_destroy(&r->lock);
	free(r);
	return true;
}
