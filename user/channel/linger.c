/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/linger.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "channel/conn_io.h"

struct leaving {
	struct pt_conn *conn;
	__u64 deadline_ns;
};

struct pt_linger {
	int epoll;
	struct leaving leaving[PT_LINGER_MAX];	/* in the order of their
						 * arrival here */
	unsigned cnt;
};

int pt_linger_open(struct pt_linger **out)
{
	struct pt_linger *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return -ENOMEM;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		ret = -errno;
		free(l);
		return ret;
	}
	*out = l;
	return 0;
}

static void drop(struct pt_linger *l, unsigned idx)
{
	pt_conn_close(l->leaving[idx].conn);
	l->cnt--;
	memmove(&l->leaving[idx], &l->leaving[idx + 1],
		(l->cnt - idx) * sizeof(l->leaving[0]));
}

void pt_linger_close(struct pt_linger *l)
{
	if (!l)
		return;
	while (l->cnt)
		drop(l, l->cnt - 1);
	close(l->epoll);
	free(l);
}

void pt_linger_take(struct pt_linger *l, struct pt_conn *c, int timeout_ms)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (l->cnt == PT_LINGER_MAX)
		drop(l, 0);
	l->leaving[l->cnt++] = (struct leaving){
		.conn = c, .deadline_ns = pt_deadline_ns(timeout_ms),
	};
	/* An unwatched connection is still closed at its deadline. */
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, pt_conn_fd(c), &ev);
}

int pt_linger_fd(const struct pt_linger *l)
{
	return l->epoll;
}

unsigned pt_linger_tick(struct pt_linger *l)
{
	for (unsigned i = l->cnt; i-- > 0; ) {
		struct leaving *one = &l->leaving[i];

		if (pt_conn_finish_step(one->conn) ||
		    !pt_left_ms(one->deadline_ns))
			drop(l, i);
	}
	return l->cnt;
}

void pt_linger_wait(struct pt_linger *l)
{
	struct pollfd fd = { .fd = l->epoll, .events = POLLIN };
	__u64 last_ns;

	while (pt_linger_tick(l)) {
		last_ns = 0;
		for (unsigned i = 0; i < l->cnt; i++)
			if (l->leaving[i].deadline_ns > last_ns)
				last_ns = l->leaving[i].deadline_ns;
		poll(&fd, 1, pt_left_ms(last_ns));
	}
}
