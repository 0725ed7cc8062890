// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "proxy/joiner.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"
#include "proxy/door.h"
#include "proxy/pipe.h"
#include "qstream/qstream.h"
#include "sink/sink_marks.h"

#define IN_SZ		(256u << 10)
#define OUT_SZ		(2u << 20)	/* the largest head, and IN_SZ */
#define BACK_SZ		(64u << 10)
#define EMIT_SZ		(512u << 10)	/* of a section of pages */
#define CONNECT_MS	10000		/* for QEMU to listen */
#define LOADED_S	10
#define PLACE_SZ	(PT_QSTREAM_RECORD_SZ_MAX + PT_PAGE_SZ + \
			 PT_QSTREAM_CLOSE_SZ)

enum phase {
	HEAD,
	PAGES,		/* until the tail comes */
	TAIL,
};

struct pt_joiner {
	const char *path;
	int qemu_fd, inner_fd, wake_fd;
	struct pt_sink_marks *marks;
	pthread_t thread;
	bool has_thread;

	/* The thread's. */
	enum phase phase;
	struct pt_qstream qstream;
	struct pt_pipe in;		/* from inner_fd: head, or the tail's start */
	struct pt_pipe out;		/* to QEMU */
	struct pt_pipe back;		/* to inner_fd */
	__u64 off;			/* the last page that was taken */
	bool is_idle;			/* there were none, and a mark wakes */
	bool has_read_end, has_sent_end;
	bool has_taken_end, has_given_end;	/* of the back channel */

	pthread_mutex_t lock;		/* guards the fields below */
	pthread_cond_t changed;
	bool is_stopped, has_ended;
	int failure;
	struct pt_error failed;
};

static void fail(struct pt_joiner *j, int code, const struct pt_error *err)
{
	pthread_mutex_lock(&j->lock);
	if (!j->failure) {
		j->failed = *err;
		j->failure = code;
		pt_sink_marks_fail(j->marks, code, err);
	}
	pthread_cond_signal(&j->changed);
	pthread_mutex_unlock(&j->lock);
	shutdown(j->qemu_fd, SHUT_RDWR);
	shutdown(j->inner_fd, SHUT_RDWR);
}

static void fail_qemu(struct pt_joiner *j, int code)
{
	struct pt_error err;

	pt_error_set(&err, PT_EXIT_HOST, code, "%s: QEMU ended the migration "
		     "(its log tells why)", j->path);
	fail(j, code, &err);
}

static void fail_stream(struct pt_joiner *j, int code, const char *why)
{
	struct pt_error err;

	pt_error_set(&err, PT_EXIT_PEER, code, "QEMU's stream: %s", why);
	fail(j, code, &err);
}

/* ---- pages ---- */

/* fits: the blocks are the segments of the sink. */
static bool fits(const struct pt_joiner *j)
{
	const struct pt_layout *l = pt_sink_marks_layout(j->marks);
	const struct pt_segment *segs;
	__u32 cnt;

	segs = l ? pt_layout_segments(l, &cnt) : NULL;
	if (!segs || cnt != j->qstream.block_cnt)
		return false;
	for (__u32 i = 0; i < cnt; i++)
		if (segs[i].sz != j->qstream.blocks[i].sz)
			return false;
	return true;
}

static void take_head(struct pt_joiner *j)
{
	struct pt_qstream_token t;

	do {
		pt_qstream_next(&j->qstream, j->in.bytes + j->in.at,
				pt_pipe_sz(&j->in), &t);
		if (t.kind == PT_QSTREAM_MORE)
			return;
		/* The splitter has the same limit. */
		if (t.kind == PT_QSTREAM_STRANGE ||
		    !pt_pipe_put(&j->out, j->in.bytes + j->in.at, t.sz)) {
			j->phase = TAIL;
			return;
		}
		j->in.at += t.sz;
	} while (t.kind != PT_QSTREAM_READY);
	j->phase = PAGES;
	if (!fits(j))
		fail_stream(j, -EPROTO, "its RAM blocks are not the memory "
			    "that is sent");
}

static bool is_zero(const __u8 *page)
{
	return !page || (!page[0] && !memcmp(page, page + 1, PT_PAGE_SZ - 1));
}

/* find returns the block that has off of the image, which becomes bytes into it. */
static __u32 find(const struct pt_joiner *j, __u64 *off)
{
	__u32 i = 0;

	while (*off >= j->qstream.blocks[i].sz)
		*off -= j->qstream.blocks[i++].sz;
	return i;
}

/* put_page writes a page's record; *last: the block of the one before. */
static void put_page(struct pt_joiner *j, const __u8 *page, __u32 *last)
{
	__u64 off = j->off;
	__u32 block = find(j, &off);
	bool zero = is_zero(page);

	pt_pipe_add(&j->out, pt_qstream_put_record(pt_pipe_tail(&j->out),
			block == *last ? NULL : j->qstream.blocks[block].name,
			off, zero));
	if (!zero)
		pt_pipe_put(&j->out, page, PT_PAGE_SZ);
	*last = block;
}

/* put_pages writes a section of marked pages.  False: there is none. */
static bool put_pages(struct pt_joiner *j)
{
	__u32 last = ~0U, id = j->qstream.section_id;
	size_t end = pt_pipe_sz(&j->out) + EMIT_SZ;
	const __u8 *page;

	if (!pt_sink_marks_take(j->marks, &j->off, &page))
		return false;
	pt_pipe_add(&j->out, pt_qstream_put_section(pt_pipe_tail(&j->out),
						    PT_QSTREAM_SECTION_PART,
						    id));
	do
		put_page(j, page, &last);
	while (pt_pipe_sz(&j->out) < end &&
	       pt_pipe_free_sz(&j->out) >= PLACE_SZ &&
	       pt_sink_marks_take(j->marks, &j->off, &page));
	pt_pipe_add(&j->out, pt_qstream_put_close(pt_pipe_tail(&j->out), id));
	return true;
}

static bool may_put(const struct pt_joiner *j)
{
	return j->phase == PAGES && pt_pipe_sz(&j->out) < EMIT_SZ;
}

/* go_on writes what may be written to QEMU now: pages, and the tail's first bytes
 * once no page is left. */
static void go_on(struct pt_joiner *j)
{
	bool is_tail = pt_pipe_sz(&j->in);

	if (j->phase == HEAD && is_tail)
		take_head(j);
	j->is_idle = may_put(j) && !put_pages(j);
	if (j->is_idle) {
		if (pt_pipe_sz(&j->in))
			j->phase = TAIL;
		else
			pt_sink_marks_await(j->marks);
	}
	if (j->phase == TAIL && pt_pipe_sz(&j->in) &&
	    pt_pipe_put(&j->out, j->in.bytes + j->in.at, pt_pipe_sz(&j->in)))
		j->in.at = j->in.end = 0;
}

/* ---- sockets ---- */

/* may_read: there is room for bytes of inner_fd. */
static bool may_read(const struct pt_joiner *j)
{
	if (j->has_read_end)
		return false;
	if (j->phase == TAIL)
		return !pt_pipe_sz(&j->in) && !pt_pipe_sz(&j->out);
	return j->phase == HEAD ? !pt_pipe_is_full(&j->in)
				: !pt_pipe_sz(&j->in);
}

static void read_inner(struct pt_joiner *j)
{
	bool is_tail = j->phase == TAIL;
	long sz = pt_pipe_read(is_tail ? &j->out : &j->in, j->inner_fd);

	if (sz > 0 || sz == -EAGAIN)
		return;
	if (sz || !is_tail)
		fail_stream(j, -ECONNRESET, "it ended before it was complete");
	j->has_read_end = true;
}

static void write_qemu(struct pt_joiner *j)
{
	int ret = pt_pipe_write(&j->out, j->qemu_fd);

	if (ret) {
		fail_qemu(j, ret);
	} else if (j->has_read_end && !pt_pipe_sz(&j->out) &&
		   !j->has_sent_end) {
		shutdown(j->qemu_fd, SHUT_WR);
		j->has_sent_end = true;
	}
}

static void read_qemu(struct pt_joiner *j)
{
	long sz = pt_pipe_read(&j->back, j->qemu_fd);

	if (sz > 0 || sz == -EAGAIN)
		return;
	if (sz || j->phase != TAIL)
		fail_qemu(j, sz ? sz : -ECONNRESET);
	j->has_taken_end = true;
}

static void write_inner(struct pt_joiner *j)
{
	if (pt_pipe_write(&j->back, j->inner_fd)) {
		fail_stream(j, -EPIPE, "its back channel ended");
	} else if (j->has_taken_end && !pt_pipe_sz(&j->back) &&
		   !j->has_given_end) {
		shutdown(j->inner_fd, SHUT_WR);
		j->has_given_end = true;
	}
}

/* watch: see the splitter. */
static struct pollfd watch(int fd, bool in, bool out)
{
	return (struct pollfd){
		.fd = in || out ? fd : -1,
		.events = (in ? POLLIN : 0) | (out ? POLLOUT : 0),
	};
}

static void await(const struct pt_joiner *j)
{
	struct pollfd fds[] = {
		watch(j->inner_fd, may_read(j), pt_pipe_sz(&j->back)),
		watch(j->qemu_fd, !j->has_taken_end && !pt_pipe_sz(&j->back),
		      pt_pipe_sz(&j->out)),
		watch(j->wake_fd, true, false),
	};
	eventfd_t value;

	poll(fds, 3, may_put(j) && !j->is_idle ? 0 : -1);
	if (fds[2].revents)
		eventfd_read(j->wake_fd, &value);
}

static bool is_over(struct pt_joiner *j)
{
	bool is_over;

	pthread_mutex_lock(&j->lock);
	j->has_ended = j->has_sent_end && j->has_given_end;
	is_over = j->is_stopped || j->failure || j->has_ended;
	if (is_over)
		pthread_cond_signal(&j->changed);
	pthread_mutex_unlock(&j->lock);
	return is_over;
}

static void *flow(void *joiner)
{
	struct pt_joiner *j = joiner;

	while (!is_over(j)) {
		await(j);
		if (may_read(j))
			read_inner(j);
		go_on(j);
		write_qemu(j);
		if (!j->has_taken_end && !pt_pipe_sz(&j->back))
			read_qemu(j);
		write_inner(j);
	}
	return NULL;
}

/* ---- calls ---- */

int pt_joiner_open(struct pt_joiner **out, const char *path,
		   struct pt_error *err)
{
	struct pt_joiner *j = calloc(1, sizeof(*j));
	int ret = -ENOMEM;

	if (!j)
		return pt_error_set(err, PT_EXIT_HOST, ret, "no memory");
	j->path = path;
	j->qemu_fd = j->inner_fd = -1;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->changed, NULL);
	j->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->wake_fd < 0 || pt_pipe_open(&j->in, IN_SZ) ||
	    pt_pipe_open(&j->out, OUT_SZ) || pt_pipe_open(&j->back, BACK_SZ))
		pt_error_set(err, PT_EXIT_HOST, ret, "no memory, or no "
			     "descriptor");
	else
		ret = pt_sink_open_marks(&j->marks, j->wake_fd, err);
	if (ret) {
		pt_joiner_close(j);
		return ret;
	}
	*out = j;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void pt_joiner_close(struct pt_joiner *j)
{
	if (!j)
		return;
	if (j->has_thread) {
		pthread_mutex_lock(&j->lock);
		j->is_stopped = true;
		pthread_mutex_unlock(&j->lock);
		eventfd_write(j->wake_fd, 1);
		pthread_join(j->thread, NULL);
	}
	if (j->marks)
		pt_sink_close(pt_sink_marks_sink(j->marks));
	close_fd(j->qemu_fd);
	close_fd(j->inner_fd);
	close_fd(j->wake_fd);
	pt_pipe_close(&j->in);
	pt_pipe_close(&j->out);
	pt_pipe_close(&j->back);
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->changed);
	free(j);
}

struct pt_sink *pt_joiner_sink(struct pt_joiner *j)
{
	return pt_sink_marks_sink(j->marks);
}

int pt_joiner_begin(void *arg, int *fd, struct pt_error *err)
{
	struct pt_joiner *j = arg;
	int fds[2];
	int ret = pt_door_connect(&j->qemu_fd, j->path, CONNECT_MS, err);

	if (ret)
		return ret;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds))
		return pt_error_set(err, PT_EXIT_HOST, -errno,
				    "socketpair: %s", strerror(errno));
	j->inner_fd = fds[0];
	ret = pt_thread_start(&j->thread, flow, j, "pt-joiner");
	if (ret) {
		close(fds[1]);
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a "
				    "thread: %s (memory, ulimit -u or pids.max)",
				    strerror(-ret));
	}
	j->has_thread = true;
	*fd = fds[1];
	return 0;
}

int pt_joiner_loaded(void *arg, struct pt_error *err)
{
	struct pt_joiner *j = arg;
	__u64 until_ns = pt_clock_ns() + LOADED_S * 1000000000ULL;
	int ret;

	pthread_mutex_lock(&j->lock);
	while (!j->has_ended && !j->failure &&
	       pt_thread_wait(&j->changed, &j->lock, until_ns))
		;
	if (j->failure && err)
		*err = j->failed;
	ret = j->failure ? j->failure : j->has_ended ? 0
		: pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT, "%s: QEMU has not "
			       "read all of its stream within %d s", j->path,
			       LOADED_S);
	pthread_mutex_unlock(&j->lock);
	return ret;
}

const struct pt_error *pt_joiner_failure(struct pt_joiner *j)
{
	int failure;

	pthread_mutex_lock(&j->lock);
	failure = j->failure;
	pthread_mutex_unlock(&j->lock);
	return failure ? &j->failed : NULL;
}
