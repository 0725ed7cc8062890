// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "proxy/door.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"

#define BACKLOG		64
#define AGAIN_MS	20	/* between two attempts to connect */

static int fail(const char *path, const char *what, int code,
		const char *remedy, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s: %s%s", path, what,
			    strerror(-code), remedy);
}

static int address(struct sockaddr_un *addr, const char *path,
		   struct pt_error *err)
{
	size_t sz = strlen(path);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!sz || sz >= sizeof(addr->sun_path))
		return pt_error_set(err, PT_EXIT_HOST, -ENAMETOOLONG, "'%.80s': "
				    "the path of a socket has 1..%zu bytes, "
				    "this has %zu", path,
				    sizeof(addr->sun_path) - 1, sz);
	memcpy(addr->sun_path, path, sz);
	return 0;
}

/* open_socket returns a descriptor, or -errno. */
static int open_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int try_connect(int fd, const struct sockaddr_un *addr)
{
	return connect(fd, (const struct sockaddr *)addr, sizeof(*addr))
		? -errno : 0;
}

/* is_dead: a socket on which nobody listens, since its process was killed. */
static bool is_dead(const struct sockaddr_un *addr)
{
	struct stat st;
	bool dead;
	int fd;

	if (lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = open_socket();
	dead = fd >= 0 && try_connect(fd, addr) == -ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return dead;
}

/* stand: the file takes the socket's mode, so it has it from the start. */
static int stand(int fd, const struct sockaddr_un *addr)
{
	const struct sockaddr *at = (const struct sockaddr *)addr;

	if (fchmod(fd, 0600))
		return -errno;
	if (bind(fd, at, sizeof(*addr))) {
		if (errno != EADDRINUSE)
			return -errno;
		if (!is_dead(addr))
			return -EADDRINUSE;
		if (unlink(addr->sun_path) || bind(fd, at, sizeof(*addr)))
			return -errno;
	}
	return listen(fd, BACKLOG) ? -errno : 0;
}

int pt_door_listen(int *fd, const char *path, struct pt_error *err)
{
	struct sockaddr_un addr;
	int ret = address(&addr, path, err);

	if (ret)
		return ret;
	*fd = open_socket();
	ret = *fd < 0 ? *fd : stand(*fd, &addr);
	if (!ret)
		return 0;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return fail(path, "cannot listen there", ret, ret == -EADDRINUSE
		    ? " (name another path)" : ret == -ENOENT
		    ? " (make its folder first)" : pt_files_remedy(ret), err);
}

void pt_door_leave(int fd, const char *path)
{
	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}

int pt_door_connect(int *fd, const char *path, int timeout_ms,
		    struct pt_error *err)
{
	__u64 deadline_ns = pt_deadline_ns(timeout_ms);
	struct sockaddr_un addr;
	int ret = address(&addr, path, err);

	if (ret)
		return ret;
	*fd = open_socket();
	if (*fd < 0)
		return fail(path, "no socket", *fd, pt_files_remedy(*fd), err);
	while ((ret = try_connect(*fd, &addr))) {
		if ((ret != -ENOENT && ret != -ECONNREFUSED &&
		     ret != -EAGAIN) || !pt_left_ms(deadline_ns))
			break;
		poll(NULL, 0, AGAIN_MS);
	}
	if (!ret)
		return 0;
	close(*fd);
	*fd = -1;
	return fail(path, "cannot connect to QEMU", ret, ret == -ENOENT ||
		    ret == -ECONNREFUSED ? " (start QEMU with -incoming "
		    "unix:PATH, or give it migrate-incoming)" : "", err);
}
