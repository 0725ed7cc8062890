/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/send_files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/name.h"
#include "base/thread.h"

#define BACKLOG_MAX	(256u << 10)	/* queued bytes, which delay other
					 * messages */
#define PIECE_MIN	1024		/* bytes, even under a low limit */
#define UNTRUE_SZ_MAX	4096u		/* bytes: a larger size is believed */
#define CONTENT_MAX	(64u << 20)	/* bytes of a file whose size is not */
#define NAP_MIN_NS	1000000ULL
#define NAP_MAX_NS	20000000ULL	/* a cancel is noticed after this time */

struct file {
	const char *path;
	const char *name;	/* the receiver's */
	int fd;			/* -1: content is all of it */
	char *content;		/* NULL, or sz bytes */
	__u64 sz;
};

struct pt_send_files {
	struct pt_send_files_cfg cfg;
	pthread_t thread;
	bool has_thread;
	atomic_bool stop;
	atomic_bool is_over;		/* its thread has set the next two, and
					 * ends */
	int result;
	struct pt_error error;
	atomic_bool is_alone;
	struct pt_pacer share;		/* for its thread only */
	_Atomic __u64 sent_sz;
	__u64 total_sz;
	__u32 cnt;		/* opened so far */
	struct file files[];
};

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* content_grow makes room for more bytes. */
static int content_grow(struct file *file, size_t *room, struct pt_error *err)
{
	char *content;

	if (file->sz > CONTENT_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -EFBIG, "%s: contains "
				    "more than %u MiB, and its size does not "
				    "say so (give {with} a copy of it)",
				    file->path, CONTENT_MAX >> 20);
	if (file->sz < *room)
		return 0;
	*room = *room ? 2 * *room : 1 << 16;
	content = realloc(file->content, *room);
	if (!content)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to read it ({with})",
				    file->path);
	file->content = content;
	return 0;
}

/* content_read reads all of a file whose size may be untrue: in /proc it is 0,
 * in /sys 4096.  A FILE message must announce the true one. */
static int content_read(struct file *file, struct pt_error *err)
{
	size_t room = 0;
	ssize_t got = 1;

	file->sz = 0;
	while (got) {
		int ret = content_grow(file, &room, err);

		if (ret)
			return ret;
		got = read(file->fd, file->content + file->sz, room - file->sz);
		if (got < 0 && errno != EINTR)
			return pt_error_set(err, PT_EXIT_HOST, -errno,
					    "%s: %m ({with})", file->path);
		if (got > 0)
			file->sz += got;
	}
	close(file->fd);
	file->fd = -1;
	return 0;
}

static void file_close(struct file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->content);
}

/* open_file returns a descriptor of a regular file whose name fits into a FILE
 * message, and its present size. */
static int open_file(const char *path, __u64 *sz, struct pt_error *err)
{
	const char *fault;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m "
				    "({with})", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: not a "
				    "regular file ({with} takes files)", path);
	}
	fault = pt_name_file_fault(last_part(path));
	if (fault) {
		close(fd);
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: no "
				    "receiver stores a file of that name: %s "
				    "({with})", path, fault);
	}
	*sz = st.st_size;
	return fd;
}

static int file_open(struct file *file, const char *path, struct pt_error *err)
{
	file->path = path;
	file->name = last_part(path);
	file->fd = open_file(path, &file->sz, err);
	if (file->fd < 0)
		return file->fd;
	return file->sz <= UNTRUE_SZ_MAX ? content_read(file, err) : 0;
}

/* part_open: each has its own descriptor, whose offset is where the part begins. */
static int part_open(struct file *file, const struct pt_send_part *part,
		     struct pt_error *err)
{
	file->path = part->path;
	file->name = part->name;
	file->sz = part->sz;
	file->fd = open(part->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file->fd < 0 || lseek(file->fd, part->off, SEEK_SET) < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: cannot open its "
				    "file '%s': %m", part->path, part->name);
	return 0;
}

int pt_send_files_open(struct pt_send_files **out, const char *const *paths,
		       __u32 cnt, const struct pt_send_part *parts,
		       __u32 part_cnt, struct pt_error *err)
{
	struct pt_send_files *f;

	f = calloc(1, sizeof(*f) + (cnt + part_cnt) * sizeof(f->files[0]));
	if (!f)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u files ({with})",
				    cnt + part_cnt);
	while (f->cnt < cnt + part_cnt) {
		struct file *file = &f->files[f->cnt];
		__u32 i = f->cnt++;
		int ret = i < cnt ? file_open(file, paths[i], err)
				  : part_open(file, &parts[i - cnt], err);

		if (ret) {
			pt_send_files_close(f);
			return ret;
		}
		f->total_sz += file->sz;
	}
	*out = f;
	return 0;
}

void pt_send_files_close(struct pt_send_files *f)
{
	if (!f)
		return;
	pt_send_files_stop(f);
	for (__u32 i = 0; i < f->cnt; i++)
		file_close(&f->files[i]);
	free(f);
}

/* --- its thread ------------------------------------------------------ */

static void nap(__u64 ns)
{
	const struct timespec ts = { .tv_nsec = ns < NAP_MAX_NS ? ns
								: NAP_MAX_NS };

	nanosleep(&ts, NULL);
}

static bool is_stopped(const struct pt_send_files *f)
{
	return atomic_load_explicit(&f->stop, memory_order_relaxed);
}

/* piece_sz returns at most the bytes of 5 ms under the limit, so that lanes get
 * their turn. */
static size_t piece_sz(const struct pt_send_files *f)
{
	__u64 rate = pt_pacer_rate(f->cfg.pacer), sz = rate / 200;

	if (!rate || sz > PT_FILE_DATA_SZ_MAX)
		return PT_FILE_DATA_SZ_MAX;
	return sz < PIECE_MIN ? PIECE_MIN : sz;
}

/* wire_sz adds headers of 66 bytes per 1514, as in TCP over IPv4. */
static __u32 wire_sz(size_t sz)
{
	return sz + sz / 22 + 74;
}

/* wait_share_ns gives files only half of the limit while lanes send, since the
 * large pieces of files would leave the lanes nearly nothing. */
static __u64 wait_share_ns(struct pt_send_files *f, __u32 sz)
{
	__u64 half = pt_pacer_rate(f->cfg.pacer) / 2, now_ns = pt_clock_ns();

	if (!half || atomic_load_explicit(&f->is_alone, memory_order_relaxed))
		return 0;
	if (half != pt_pacer_rate(&f->share))
		pt_pacer_set(&f->share, half, now_ns);
	return pt_pacer_wait_ns(&f->share, now_ns, sz);
}

/* say waits for the limit and for room in the queue, without a deadline:
 * control ends the transfer of a receiver that does not read, with -ECANCELED
 * here. */
static int say(struct pt_send_files *f, const struct pt_message *m, size_t sz,
	       struct pt_error *err)
{
	__u64 wait_ns, slack_ns = NAP_MIN_NS;
	int ret = -ENOBUFS;

	while (!is_stopped(f) && (wait_ns = wait_share_ns(f, wire_sz(sz))))
		nap(wait_ns);
	while (!is_stopped(f) && (wait_ns = pt_pacer_wait_ns(f->cfg.pacer,
					pt_clock_ns(), wire_sz(sz))))
		nap(wait_ns);
	while (ret == -ENOBUFS) {
		if (is_stopped(f))
			return -ECANCELED;
		if (pt_conn_backlog_sz(f->cfg.conn) < BACKLOG_MAX)
			ret = pt_conn_send(f->cfg.conn, m, err);
		if (ret != -ENOBUFS)
			break;
		nap(slack_ns);
		slack_ns *= 2;
		if (slack_ns > NAP_MAX_NS)
			slack_ns = NAP_MAX_NS;
	}
	return ret;
}

/* bytes_next returns the next bytes of the file, at most sz, of which left are to
 * come; and copies them to buffer, or has them already. */
static ssize_t bytes_next(const struct file *file, __u64 left, char *buffer,
			  size_t sz, const char **bytes)
{
	if (left < sz)
		sz = left;
	*bytes = file->content ? file->content + (file->sz - left) : buffer;
	return file->content ? (ssize_t)sz : read(file->fd, buffer, sz);
}

static int send_bytes(struct pt_send_files *f, const struct file *file,
		      struct pt_error *err)
{
	char buffer[PT_FILE_DATA_SZ_MAX];
	const char *bytes;
	__u64 left = file->sz;

	while (left) {
		struct pt_message m = { .type = PT_MSG_FILE_DATA };
		ssize_t got = bytes_next(file, left, buffer, piece_sz(f),
					 &bytes);
		int ret;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pt_error_set(err, PT_EXIT_HOST, -errno,
					    "%s: %m", file->path);
		if (!got)
			return pt_error_set(err, PT_EXIT_HOST, -EIO,
					    "%s: became shorter while it was "
					    "read (stop processes that write "
					    "to it, or give {with} a copy)",
					    file->path);
		m.file_data.data_sz = got;
		m.file_data.data = bytes;
		ret = say(f, &m, got, err);
		if (ret)
			return ret;
		left -= got;
		atomic_fetch_add(&f->sent_sz, got);
	}
	return 0;
}

static int send_file(struct pt_send_files *f, const struct file *file,
		     struct pt_error *err)
{
	struct pt_message m = { .type = PT_MSG_FILE, .file.sz = file->sz };
	int ret;

	strcpy(m.file.name, file->name);
	ret = say(f, &m, 0, err);
	return ret ? ret : send_bytes(f, file, err);
}

static void *files_main(void *arg)
{
	struct pt_send_files *f = arg;
	int ret = 0;

	for (__u32 i = 0; !ret && i < f->cnt; i++)
		ret = send_file(f, &f->files[i], &f->error);
	f->result = ret ? ret : 1;
	atomic_store(&f->is_over, true);
	eventfd_write(f->cfg.wake_fd, 1);
	return NULL;
}

/* --- control's -------------------------------------------------------- */

int pt_send_files_start(struct pt_send_files *f,
			const struct pt_send_files_cfg *cfg,
			struct pt_error *err)
{
	int ret;

	f->cfg = *cfg;
	if (!f->cnt) {
		f->result = 1;
		atomic_store(&f->is_over, true);
		return 0;
	}
	ret = pt_thread_start(&f->thread, files_main, f, "pt-files");
	f->has_thread = !ret;
	return ret ? pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a thread "
				  "for files ({with}): %s (memory, "
				  "ulimit -u or pids.max)",
				  strerror(-ret)) : 0;
}

int pt_send_files_result(const struct pt_send_files *f, struct pt_error *err)
{
	if (!atomic_load(&f->is_over))
		return 0;
	if (f->result < 0)
		*err = f->error;
	return f->result;
}

void pt_send_files_alone(struct pt_send_files *f, bool is_alone)
{
	atomic_store_explicit(&f->is_alone, is_alone, memory_order_relaxed);
}

__u64 pt_send_files_total_sz(const struct pt_send_files *f)
{
	return f ? f->total_sz : 0;
}

__u64 pt_send_files_sent_sz(const struct pt_send_files *f)
{
	return f ? atomic_load(&f->sent_sz) : 0;
}

void pt_send_files_cancel(struct pt_send_files *f)
{
	if (f)
		atomic_store(&f->stop, true);
}

bool pt_send_files_has_ended(const struct pt_send_files *f)
{
	return !f || !f->has_thread || atomic_load(&f->is_over);
}

void pt_send_files_stop(struct pt_send_files *f)
{
	if (!f || !f->has_thread)
		return;
	pt_send_files_cancel(f);
	pthread_join(f->thread, NULL);
	f->has_thread = false;
}
