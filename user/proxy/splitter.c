// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "proxy/splitter_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/stop.h"
#include "base/thread.h"
#include "proxy/door.h"

#define MULTIFD_MAGIC	"\x11\x22\x33\x44"
#define SILENT_NS	1000000000ULL	/* one that only connects closes by then */
#define LOOK_MS		50		/* while another connection is silent */

static int open_pipes(struct pt_splitter *s)
{
	int ret = pt_pipe_open(&s->in, PT_SPLITTER_IN_SZ);

	if (!ret)
		ret = pt_pipe_open(&s->out, PT_SPLITTER_OUT_SZ);
	if (!ret)
		ret = pt_pipe_open(&s->held, PT_SPLITTER_HEAD_SZ);
	return ret ? ret : pt_pipe_open(&s->back, PT_SPLITTER_BACK_SZ);
}

int pt_splitter_open(struct pt_splitter **out, const char *path,
		     struct pt_error *err)
{
	struct pt_splitter *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	s->path = path;
	s->listen_fd = s->qemu_fd = s->other_fd = s->inner_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0 || open_pipes(s))
		ret = pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				   "no memory, or no descriptor");
	else
		ret = pt_door_listen(&s->listen_fd, path, err);
	if (ret) {
		pt_splitter_close(s);
		return ret;
	}
	*out = s;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void pt_splitter_close(struct pt_splitter *s)
{
	if (!s)
		return;
	if (s->has_thread) {
		pthread_mutex_lock(&s->lock);
		s->is_stopped = true;
		pthread_mutex_unlock(&s->lock);
		eventfd_write(s->wake_fd, 1);
		pthread_join(s->thread, NULL);
	}
	pt_batch_close(s->batch);
	pt_door_leave(s->listen_fd, s->path);
	close_fd(s->qemu_fd);
	close_fd(s->other_fd);
	close_fd(s->inner_fd);
	close_fd(s->wake_fd);
	pt_pipe_close(&s->in);
	pt_pipe_close(&s->out);
	pt_pipe_close(&s->held);
	pt_pipe_close(&s->back);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}

/* ---- accept ---- */

/* is_multifd judges another connection.  1: QEMU uses it; 0: it was none of ours;
 * -EAGAIN: it is silent, and may yet be. */
static int is_multifd(const struct pt_splitter *s)
{
	char bytes[sizeof(MULTIFD_MAGIC) - 1];
	ssize_t sz = recv(s->other_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (sz >= 0)
		return sz == sizeof(bytes) && !memcmp(bytes, MULTIFD_MAGIC, sz);
	if (errno != EAGAIN)
		return 0;
	return pt_clock_ns() - s->other_ns > SILENT_NS ? 1 : -EAGAIN;
}

/* look accepts and judges other connections.  0: there is none;  -EAGAIN: one is
 * not judged yet.
 *   -EOPNOTSUPP  QEMU uses one */
static int look(struct pt_splitter *s, struct pt_error *err)
{
	int ret = 0;

	while (!ret) {
		if (s->other_fd < 0) {
			s->other_fd = accept4(s->listen_fd, NULL, NULL,
					      SOCK_CLOEXEC | SOCK_NONBLOCK);
			s->other_ns = pt_clock_ns();
		}
		if (s->other_fd < 0)
			return 0;
		ret = is_multifd(s);
		if (ret == -EAGAIN)
			return ret;
		close(s->other_fd);
		s->other_fd = -1;
	}
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: QEMU migrates "
			    "by several connections, which are not carried "
			    "(switch its capabilities multifd and "
			    "postcopy-preempt off)", s->path);
}

/* part_head parts the head off.  1: it is complete; 0: more bytes are needed. */
static int part_head(struct pt_splitter *s)
{
	struct pt_qstream_token t;

	do {
		pt_qstream_next(&s->qstream, s->in.bytes + s->in.at,
				pt_pipe_sz(&s->in), &t);
		if (t.kind == PT_QSTREAM_MORE)
			return 0;
		/* A head that is too large passes whole, too. */
		if (t.kind == PT_QSTREAM_STRANGE ||
		    pt_pipe_sz(&s->out) + t.sz > PT_SPLITTER_HEAD_SZ) {
			s->qstream.block_cnt = 0;
			return 1;
		}
		pt_pipe_put(&s->out, s->in.bytes + s->in.at, t.sz);
		s->in.at += t.sz;
	} while (t.kind != PT_QSTREAM_READY);
	return 1;
}

/* await waits for connections, and for bytes of QEMU's; -ECANCELED. */
static int await(const struct pt_splitter *s, int qemu_fd, int stop_fd,
		 struct pt_error *err)
{
	struct pollfd fds[] = {
		{ .fd = stop_fd, .events = POLLIN },
		{ .fd = s->other_fd < 0 ? s->listen_fd : s->other_fd,
		  .events = POLLIN },
		{ .fd = qemu_fd, .events = POLLIN },
	};

	poll(fds, 3, s->other_fd < 0 ? -1 : LOOK_MS);
	return fds[0].revents ? pt_stop_error(err) : 0;
}

/* take_head reads the connection that is to be QEMU's.  1: it is, and the head is
 * complete; 0: not yet; -errno.  A connection that ends at once was somebody who
 * looked whether we live. */
static int take_head(struct pt_splitter *s, struct pt_error *err)
{
	long sz = pt_pipe_read(&s->in, s->qemu_fd);

	if (sz == -EAGAIN)
		return 0;
	if (sz > 0)
		return part_head(s);
	if (s->in.end || pt_pipe_sz(&s->out))
		return pt_error_set(err, PT_EXIT_FAILED, -ECONNRESET, "%s: QEMU "
				    "ended its migration at once (its log "
				    "tells why)", s->path);
	close(s->qemu_fd);
	s->qemu_fd = -1;
	return 0;
}

/* pass_whole: a memory has at least one page, which is never sent. */
static void pass_whole(struct pt_splitter *s)
{
	s->phase = PT_SPLITTER_TAIL;
	s->qstream.block_cnt = 1;
	s->qstream.blocks[0] = (struct pt_qstream_block){ "none", PT_PAGE_SZ };
	pt_pipe_put(&s->out, s->in.bytes + s->in.at, pt_pipe_sz(&s->in));
	s->in.at = s->in.end = 0;
}

/* await_head waits for QEMU's connection, and for the head. */
static int await_head(struct pt_splitter *s, int stop_fd, struct pt_error *err)
{
	int ret = 0;

	while (!ret) {
		ret = await(s, s->qemu_fd, stop_fd, err);
		if (!ret && s->qemu_fd < 0)
			s->qemu_fd = accept4(s->listen_fd, NULL, NULL,
					     SOCK_CLOEXEC | SOCK_NONBLOCK);
		else if (!ret && look(s, err) == -EOPNOTSUPP)
			ret = -EOPNOTSUPP;
		if (!ret && s->qemu_fd >= 0)
			ret = take_head(s, err);
	}
	return ret < 0 ? ret : 0;
}

/* close_door: nobody connects any more.  So a QEMU that opens another connection
 * later, at the start of a postcopy with preempt, fails before it stops its
 * guest. */
static int close_door(struct pt_splitter *s, int stop_fd, struct pt_error *err)
{
	int ret;

	while ((ret = look(s, err)) == -EAGAIN)
		if ((ret = await(s, -1, stop_fd, err)))
			break;
	if (ret)
		return ret;
	pt_door_leave(s->listen_fd, s->path);
	s->listen_fd = -1;
	return 0;
}

int pt_splitter_accept(struct pt_splitter *s, int stop_fd,
		       struct pt_error *err)
{
	int ret = await_head(s, stop_fd, err);

	if (!ret)
		ret = close_door(s, stop_fd, err);
	if (ret)
		return ret;
	if (!s->qstream.block_cnt)
		pass_whole(s);
	ret = pt_batch_open(&s->batch, s->qstream.blocks, s->qstream.block_cnt,
			    s->wake_fd, err);
	if (!ret && s->phase == PT_SPLITTER_TAIL)
		pt_batch_end(s->batch);
	return ret;
}

const struct pt_qstream_block *pt_splitter_blocks(const struct pt_splitter *s,
						  __u32 *cnt)
{
	*cnt = s->qstream.block_cnt;
	return s->qstream.blocks;
}

bool pt_splitter_is_whole(const struct pt_splitter *s)
{
	return s->phase == PT_SPLITTER_TAIL;
}

int pt_splitter_fd(const struct pt_splitter *s, __u32 block)
{
	return pt_batch_fd(s->batch, block);
}

/* ---- the guest's functions ---- */

int pt_splitter_begin(void *arg, int *fd, struct pt_error *err)
{
	struct pt_splitter *s = arg;
	int fds[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds))
		return pt_error_set(err, PT_EXIT_HOST, -errno,
				    "socketpair: %s", strerror(errno));
	s->inner_fd = fds[0];
	ret = pt_thread_start(&s->thread, pt_splitter_flow, s, "pt-splitter");
	if (ret) {
		close(fds[1]);
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a "
				    "thread: %s (memory, ulimit -u or pids.max)",
				    strerror(-ret));
	}
	s->has_thread = true;
	*fd = fds[1];
	return 0;
}

int pt_splitter_collect(void *arg, const struct pt_track_to *to,
			const atomic_bool *is_cancelled, struct pt_error *err)
{
	struct pt_splitter *s = arg;

	return pt_batch_collect(s->batch, to, is_cancelled, err);
}

bool pt_splitter_is_last(void *arg)
{
	struct pt_splitter *s = arg;

	return pt_batch_is_last(s->batch);
}

int pt_splitter_failure(void *arg, struct pt_error *err)
{
	struct pt_splitter *s = arg;
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = s->is_qemus ? s->failure : 0;
	if (ret)
		*err = s->failed;
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int pt_splitter_hand_over(void *arg, int timeout_ms, struct pt_error *err)
{
	struct pt_splitter *s = arg;
	__u64 until_ns = pt_clock_ns() + timeout_ms * 1000000ULL;
	int ret;

	pthread_mutex_lock(&s->lock);
	if (!s->is_released)
		eventfd_write(s->wake_fd, 1);
	s->is_released = true;
	while (!s->has_ended && !s->failure &&
	       pt_thread_wait(&s->changed, &s->lock, until_ns))
		;
	ret = s->failure ? s->failure : s->has_ended ? 0 : -ETIMEDOUT;
	if (s->failure && err)
		*err = s->failed;
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int pt_splitter_drop(void *arg, struct pt_error *err)
{
	struct pt_splitter *s = arg;

	(void)err;
	shutdown(s->qemu_fd, SHUT_RDWR);
	return 0;
}
