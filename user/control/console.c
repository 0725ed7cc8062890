/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "control/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <pagetrim/check.h>

#define BACKLOG		64	/* wait until it is looked who they are */
#define EVENTS_MAX	16	/* taken in one call, before others have a turn */

struct client {
	int fd;			/* -1: the place is free */
	unsigned heard;		/* when, in steps of the console */
	unsigned sz;		/* bytes of line */
	char line[PT_CONSOLE_LINE_SZ];
};

struct pt_console {
	int listen_fd;
	int epoll_fd;
	unsigned step;
	struct client clients[PT_CONSOLE_CLIENTS];
	struct client *asking;	/* whose request was taken last; NULL: gone */
	dev_t dev;		/* of the socket in the file system */
	ino_t ino;
	struct sockaddr_un addr;
};

/* --- the socket ------------------------------------------------------ */

static int fail(struct pt_error *err, const char *path, int code)
{
	const char *remedy = "";

	switch (code) {
	case -EACCES:
	case -EPERM:
		remedy = " (name a folder that the user it runs as may write: "
			 "--user)";
		break;
	case -ENOENT:
	case -ENOTDIR:
		remedy = " (make its folder first)";
		break;
	case -EROFS:
		remedy = " (name another folder, e.g. in /run)";
		break;
	case -EMFILE:
	case -ENFILE:
		remedy = " (raise ulimit -n)";
		break;
	}
	return pt_error_set(err, PT_EXIT_HOST, code, "--control %s: %s%s", path,
			    strerror(-code), remedy);
}

static int set_address(struct sockaddr_un *addr, const char *path,
		       struct pt_error *err)
{
	size_t sz = strlen(path);

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (!sz || sz >= sizeof(addr->sun_path))
		return pt_error_set(err, PT_EXIT_HOST, -ENAMETOOLONG,
				    "--control '%.80s': the path of a socket "
				    "has 1..%zu bytes, this has %zu", path,
				    sizeof(addr->sun_path) - 1, sz);
	memcpy(addr->sun_path, path, sz);
	return 0;
}

/* is_dead: a socket stands at the address, and nobody listens on it: a process
 * that was killed left it. */
static bool is_dead(const struct sockaddr_un *addr)
{
	struct stat st;
	bool dead;
	int fd;

	if (lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) &&
	       errno == ECONNREFUSED;
	close(fd);
	return dead;
}

static int bind_path(struct pt_console *c)
{
	const struct sockaddr *addr = (const struct sockaddr *)&c->addr;

	/* The mode of the file is the socket's; it has it from the start. */
	if (fchmod(c->listen_fd, 0600))
		return -errno;
	if (!bind(c->listen_fd, addr, sizeof(c->addr)))
		return 0;
	if (errno != EADDRINUSE || !is_dead(&c->addr))
		return -errno;
	if (unlink(c->addr.sun_path))
		return -errno;
	return bind(c->listen_fd, addr, sizeof(c->addr)) ? -errno : 0;
}

static int watch(struct pt_console *c, int fd, struct client *client)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.ptr = client,	/* NULL: who listens */
	};

	return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_sockets(struct pt_console *c)
{
	struct stat st;
	int ret;

	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
			      SOCK_NONBLOCK, 0);
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->listen_fd < 0 || c->epoll_fd < 0)
		return -errno;
	ret = bind_path(c);
	if (ret)
		return ret;
	if (lstat(c->addr.sun_path, &st))
		return -errno;
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	if (listen(c->listen_fd, BACKLOG))
		return -errno;
	return watch(c, c->listen_fd, NULL);
}

int pt_console_open(struct pt_console **out, const char *path,
		    struct pt_error *err)
{
	struct pt_console *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return fail(err, path, -ENOMEM);
	c->listen_fd = c->epoll_fd = -1;
	for (unsigned i = 0; i < PT_CONSOLE_CLIENTS; i++)
		c->clients[i].fd = -1;
	ret = set_address(&c->addr, path, err);
	if (!ret) {
		ret = open_sockets(c);
		if (ret == -EADDRINUSE)
			pt_error_set(err, PT_EXIT_HOST, ret, "--control %s: "
				     "exists already (is it another sender's? "
				     "name another path)", path);
		else if (ret)
			fail(err, path, ret);
	}
	if (ret) {
		pt_console_close(c);
		return ret;
	}
	*out = c;
	return 0;
}

static void drop(struct pt_console *c, struct client *client)
{
	close(client->fd);	/* leaves the epoll set, too */
	client->fd = -1;
	if (c->asking == client)
		c->asking = NULL;
}

void pt_console_close(struct pt_console *c)
{
	struct stat st;

	if (!c)
		return;
	for (unsigned i = 0; i < PT_CONSOLE_CLIENTS; i++)
		if (c->clients[i].fd >= 0)
			drop(c, &c->clients[i]);
	if (c->ino && !lstat(c->addr.sun_path, &st) &&
	    st.st_dev == c->dev && st.st_ino == c->ino)
		unlink(c->addr.sun_path);
	if (c->listen_fd >= 0)
		close(c->listen_fd);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	free(c);
}

int pt_console_fd(const struct pt_console *c)
{
	return c ? c->epoll_fd : -1;
}

/* --- who asks -------------------------------------------------------- */

static struct client *place_for_one_more(struct pt_console *c)
{
	struct client *oldest = &c->clients[0];

	for (unsigned i = 0; i < PT_CONSOLE_CLIENTS; i++) {
		struct client *client = &c->clients[i];

		if (client->fd < 0)
			return client;
		if (c->step - client->heard > c->step - oldest->heard)
			oldest = client;
	}
	drop(c, oldest);
	return oldest;
}

/* may_ask: the mode keeps others out; this holds whatever becomes of it. */
static bool may_ask(int fd)
{
	struct ucred cred;
	socklen_t sz = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &sz) &&
	       (!cred.uid || cred.uid == geteuid());
}

static void let_in(struct pt_console *c)
{
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0)
		return;
	if (!may_ask(fd)) {
		close(fd);
		return;
	}
	client = place_for_one_more(c);
	client->fd = fd;
	client->sz = 0;
	client->heard = c->step;
	if (watch(c, fd, client))
		drop(c, client);
}

static void hear(struct pt_console *c, struct client *client)
{
	ssize_t got = recv(client->fd, client->line + client->sz,
			   sizeof(client->line) - client->sz, 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		drop(c, client);
		return;
	}
	client->heard = c->step;
	client->sz += got;
}

static void say(struct pt_console *c, struct client *client, const char *text)
{
	char line[PT_CONSOLE_ANSWER_SZ];
	size_t sz = strlen(text);

	pt_check(sz < sizeof(line));
	memcpy(line, text, sz);
	line[sz++] = '\n';
	/* An answer that does not fit waits for nobody. */
	if (send(client->fd, line, sz, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sz)
		drop(c, client);
}

/* cut_line moves the client's first line, if it has a whole one, to line. */
static bool cut_line(struct pt_console *c, struct client *client, char *line)
{
	char *end = memchr(client->line, '\n', client->sz);
	unsigned sz;

	if (!end) {
		if (client->sz < sizeof(client->line))
			return false;
		say(c, client, "{\"error\": \"the request is too long\"}");
		if (client->fd >= 0)
			drop(c, client);
		return false;
	}
	sz = end - client->line;
	for (unsigned i = 0; i < sz; i++)	/* a NUL would hide what follows */
		line[i] = client->line[i] ? client->line[i] : '?';
	line[sz] = '\0';
	client->sz -= sz + 1;
	memmove(client->line, end + 1, client->sz);
	c->asking = client;
	return true;
}

bool pt_console_take(struct pt_console *c, char line[PT_CONSOLE_LINE_SZ])
{
	struct epoll_event event;

	for (unsigned i = 0; i < PT_CONSOLE_CLIENTS; i++)
		if (c->clients[i].fd >= 0 &&
		    cut_line(c, &c->clients[i], line))
			return true;
	for (unsigned i = 0; i < EVENTS_MAX; i++) {
		struct client *client;

		if (epoll_wait(c->epoll_fd, &event, 1, 0) <= 0)
			return false;
		c->step++;
		client = event.data.ptr;
		if (!client)
			let_in(c);
		else
			hear(c, client);
		if (client && client->fd >= 0 && cut_line(c, client, line))
			return true;
	}
	return false;
}

void pt_console_answer(struct pt_console *c, const char *text)
{
	if (c->asking)
		say(c, c->asking, text);
	c->asking = NULL;
}
