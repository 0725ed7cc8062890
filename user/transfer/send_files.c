/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/send_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
	const char *path;
	int fd;
};

struct pt_send_files {
	__u32 cnt;		/* opened so far */
	struct file files[];
};

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int send_bytes(struct pt_conn *conn, int fd, const char *path, __u64 sz,
		      int timeout_ms, struct pt_error *err)
{
	char bytes[PT_FILE_DATA_SZ_MAX];
	__u64 sent = 0;

	while (sent < sz) {
		struct pt_message m = { .type = PT_MSG_FILE_DATA };
		ssize_t got = read(fd, bytes, sz - sent < sizeof(bytes)
					      ? sz - sent : sizeof(bytes));
		int ret;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pt_error_set(err, PT_EXIT_HOST, -errno,
					    "%s: %m", path);
		if (!got)
			return pt_error_set(err, PT_EXIT_HOST, -EIO,
					    "%s: became shorter while it was "
					    "read (let nobody write to it)",
					    path);
		m.file_data.data_sz = got;
		m.file_data.data = bytes;
		ret = pt_conn_send_wait(conn, &m, timeout_ms, err);
		if (ret)
			return ret;
		sent += got;
	}
	return 0;
}

/* open_file returns a descriptor of a regular file with a name that a FILE
 * message can carry. */
static int open_file(const char *path, struct pt_error *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m "
				    "(--with)", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: not a "
				    "regular file (--with takes files)", path);
	}
	if (strlen(last_part(path)) > 255) {
		close(fd);
		return pt_error_set(err, PT_EXIT_HOST, -ENAMETOOLONG,
				    "%s: its name is over 255 bytes", path);
	}
	return fd;
}

int pt_send_files_open(struct pt_send_files **out, const char *const *paths,
		       __u32 cnt, struct pt_error *err)
{
	struct pt_send_files *f;

	f = calloc(1, sizeof(*f) + cnt * sizeof(f->files[0]));
	if (!f)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u files (--with)", cnt);
	while (f->cnt < cnt) {
		int fd = open_file(paths[f->cnt], err);

		if (fd < 0) {
			pt_send_files_close(f);
			return fd;
		}
		f->files[f->cnt].path = paths[f->cnt];
		f->files[f->cnt++].fd = fd;
	}
	*out = f;
	return 0;
}

void pt_send_files_close(struct pt_send_files *f)
{
	if (!f)
		return;
	for (__u32 i = 0; i < f->cnt; i++)
		close(f->files[i].fd);
	free(f);
}

static int send_file(const struct file *file, struct pt_conn *conn,
		     int timeout_ms, __u64 *total_sz, struct pt_error *err)
{
	struct pt_message m = { .type = PT_MSG_FILE };
	struct stat st;
	int ret;

	if (fstat(file->fd, &st))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m",
				    file->path);
	m.file.sz = st.st_size;
	strcpy(m.file.name, last_part(file->path));
	ret = pt_conn_send_wait(conn, &m, timeout_ms, err);
	if (!ret)
		ret = send_bytes(conn, file->fd, file->path, st.st_size,
				 timeout_ms, err);
	*total_sz += st.st_size;
	return ret;
}

int pt_send_files(struct pt_send_files *f, struct pt_conn *conn,
		  int timeout_ms, __u64 *total_sz, struct pt_error *err)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < f->cnt; i++)
		ret = send_file(&f->files[i], conn, timeout_ms, total_sz, err);
	return ret;
}
