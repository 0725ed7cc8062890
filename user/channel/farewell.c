/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/farewell.h"

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

struct pt_farewell {
	int epoll;
	struct leaving leaving[PT_FAREWELL_MAX];	/* in the order of their
							 * arrival here */
	unsigned cnt;
};

int pt_farewell_open(struct pt_farewell **out)
{
	struct pt_farewell *f = calloc(1, sizeof(*f));
	int ret;

	if (!f)
		return -ENOMEM;
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll < 0) {
		ret = -errno;
		free(f);
		return ret;
	}
	*out = f;
	return 0;
}

static void drop(struct pt_farewell *f, unsigned idx)
{
	pt_conn_close(f->leaving[idx].conn);
	f->cnt--;
	memmove(&f->leaving[idx], &f->leaving[idx + 1],
		(f->cnt - idx) * sizeof(f->leaving[0]));
}

void pt_farewell_close(struct pt_farewell *f)
{
	if (!f)
		return;
	while (f->cnt)
		drop(f, f->cnt - 1);
	close(f->epoll);
	free(f);
}

void pt_farewell_take(struct pt_farewell *f, struct pt_conn *c,
		      int timeout_ms)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (f->cnt == PT_FAREWELL_MAX)
		drop(f, 0);
	f->leaving[f->cnt++] = (struct leaving){
		.conn = c, .deadline_ns = pt_deadline_ns(timeout_ms),
	};
	/* Unwatched, its deadline still ends it. */
	epoll_ctl(f->epoll, EPOLL_CTL_ADD, pt_conn_fd(c), &ev);
}

int pt_farewell_fd(const struct pt_farewell *f)
{
	return f->epoll;
}

unsigned pt_farewell_tick(struct pt_farewell *f)
{
	for (unsigned i = f->cnt; i-- > 0; ) {
		struct leaving *l = &f->leaving[i];

		if (pt_conn_finish_step(l->conn) || !pt_left_ms(l->deadline_ns))
			drop(f, i);
	}
	return f->cnt;
}

void pt_farewell_wait(struct pt_farewell *f)
{
	struct pollfd fd = { .fd = f->epoll, .events = POLLIN };
	__u64 last_ns;

	while (pt_farewell_tick(f)) {
		last_ns = 0;
		for (unsigned i = 0; i < f->cnt; i++)
			if (f->leaving[i].deadline_ns > last_ns)
				last_ns = f->leaving[i].deadline_ns;
		poll(&fd, 1, pt_left_ms(last_ns));
	}
}
