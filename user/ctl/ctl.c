/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include "ctl/ctl_path.h"

#define EVENTS_MAX	16	/* events per call, so that others get a turn */

struct client {
	int fd;			/* -1: a free slot */
	unsigned heard;		/* last request, as a count of steps */
	unsigned sz;		/* bytes of line */
	char line[PT_CTL_LINE_SZ];
};

struct pt_ctl {
	int listen_fd;
	int epoll_fd;
	unsigned step;
	struct client clients[PT_CTL_CLIENTS];
	struct client *asking;	/* the client of the last request; NULL: it is
				 * gone */
	struct pt_ctl_path path;
};

static int watch(struct pt_ctl *c, int fd, struct client *client)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.ptr = client,	/* NULL: the listening socket */
	};

	return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int pt_ctl_open(struct pt_ctl **out, const char *path,
		struct pt_error *err)
{
	struct pt_ctl *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return pt_ctl_path_fail(path, -ENOMEM, err);
	c->listen_fd = -1;
	for (unsigned i = 0; i < PT_CTL_CLIENTS; i++)
		c->clients[i].fd = -1;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ret = c->epoll_fd < 0
		? pt_ctl_path_fail(path, -errno, err)
		: pt_ctl_path_take(&c->path, path, &c->listen_fd, err);
	if (!ret && watch(c, c->listen_fd, NULL))
		ret = pt_ctl_path_fail(path, -errno, err);
	if (ret) {
		pt_ctl_close(c);
		return ret;
	}
	*out = c;
	return 0;
}

static void drop(struct pt_ctl *c, struct client *client)
{
	close(client->fd);	/* leaves the epoll set, too */
	client->fd = -1;
	if (c->asking == client)
		c->asking = NULL;
}

void pt_ctl_close(struct pt_ctl *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < PT_CTL_CLIENTS; i++)
		if (c->clients[i].fd >= 0)
			drop(c, &c->clients[i]);
	pt_ctl_path_leave(&c->path);
	if (c->listen_fd >= 0)
		close(c->listen_fd);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	free(c);
}

int pt_ctl_fd(const struct pt_ctl *c)
{
	return c ? c->epoll_fd : -1;
}

/* --- clients --------------------------------------------------------- */

static struct client *place_for_one_more(struct pt_ctl *c)
{
	struct client *oldest = &c->clients[0];

	for (unsigned i = 0; i < PT_CTL_CLIENTS; i++) {
		struct client *client = &c->clients[i];

		if (client->fd < 0)
			return client;
		if (c->step - client->heard > c->step - oldest->heard)
			oldest = client;
	}
	drop(c, oldest);
	return oldest;
}

/* may_ask: the socket's mode keeps others out; this check holds even if the
 * mode is changed. */
static bool may_ask(int fd)
{
	struct ucred cred;
	socklen_t sz = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &sz) &&
	       (!cred.uid || cred.uid == geteuid());
}

static void let_in(struct pt_ctl *c)
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

static void hear(struct pt_ctl *c, struct client *client)
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

static void say(struct pt_ctl *c, struct client *client, const char *text)
{
	char line[PT_CTL_ANSWER_SZ];
	size_t sz = strlen(text);

	pt_check(sz < sizeof(line));
	memcpy(line, text, sz);
	line[sz++] = '\n';
	/* An answer that does not fit is dropped; nothing waits. */
	if (send(client->fd, line, sz, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sz)
		drop(c, client);
}

/* cut_line moves the client's first line to line, if it is complete. */
static bool cut_line(struct pt_ctl *c, struct client *client, char *line)
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
	for (unsigned i = 0; i < sz; i++)	/* a NUL would hide the rest */
		line[i] = client->line[i] ? client->line[i] : '?';
	line[sz] = '\0';
	client->sz -= sz + 1;
	memmove(client->line, end + 1, client->sz);
	c->asking = client;
	return true;
}

bool pt_ctl_take(struct pt_ctl *c, char line[PT_CTL_LINE_SZ])
{
	struct epoll_event event;

	for (unsigned i = 0; i < PT_CTL_CLIENTS; i++)
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

void pt_ctl_answer(struct pt_ctl *c, const char *text)
{
	if (c->asking)
		say(c, c->asking, text);
	c->asking = NULL;
}
