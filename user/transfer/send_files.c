/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/send_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
static int open_file(const char *path, __u64 *sz, struct pt_error *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

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
	*sz = st.st_size;
	return fd;
}

int pt_send_files_check(const char *const *paths, __u32 cnt,
			struct pt_error *err)
{
	__u64 sz;

	for (__u32 i = 0; i < cnt; i++) {
		int fd = open_file(paths[i], &sz, err);

		if (fd < 0)
			return fd;
		close(fd);
	}
	return 0;
}

static int send_file(struct pt_conn *conn, const char *path, int timeout_ms,
		     __u64 *total_sz, struct pt_error *err)
{
	struct pt_message m = { .type = PT_MSG_FILE };
	__u64 sz;
	int fd = open_file(path, &sz, err);
	int ret;

	if (fd < 0)
		return fd;
	m.file.sz = sz;
	strcpy(m.file.name, last_part(path));
	ret = pt_conn_send_wait(conn, &m, timeout_ms, err);
	if (!ret)
		ret = send_bytes(conn, fd, path, sz, timeout_ms, err);
	*total_sz += sz;
	close(fd);
	return ret;
}

int pt_send_files(struct pt_conn *conn, const char *const *paths, __u32 cnt,
		  int timeout_ms, __u64 *total_sz, struct pt_error *err)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < cnt; i++)
		ret = send_file(conn, paths[i], timeout_ms, total_sz, err);
	return ret;
}
