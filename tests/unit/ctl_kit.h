/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ctl_kit: a ctl at a path of the test's own, and its clients. */
#ifndef TEST_CTL_KIT_H
#define TEST_CTL_KIT_H

#include "scratch.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/ctl.h"

#define WAIT_MS	20000	/* for an expected event */
#define PATH	SCRATCH "/control"

static struct pt_ctl *ctl;
static char line[PT_CTL_LINE_SZ];

static inline int start(void **state)
{
	struct pt_error err;

	(void)state;
	if (pt_ctl_open(&ctl, PATH, &err))
		fail_msg("%s", err.text);
	return 0;
}

static inline int stop(void **state)
{
	(void)state;
	pt_ctl_close(ctl);
	ctl = NULL;
	assert_int_not_equal(access(PATH, F_OK), 0);
	return 0;
}

static inline int dial(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	return fd;
}

static inline void type(int fd, const char *text)
{
	size_t sz = strlen(text);

	assert_int_equal(send(fd, text, sz, MSG_NOSIGNAL), sz);
}

/* hears: the ctl's next line is text. */
static inline void hears(int fd, const char *text)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char got[PT_CTL_ANSWER_SZ] = "";

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	assert_true(recv(fd, got, strlen(text), 0) >= 0);
	assert_string_equal(got, text);
}

static inline void is_dropped(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
}

/* take serves until nothing is pending; returns the number of requests. */
static inline int take(void)
{
	struct pollfd poll_fd = {
		.fd = pt_ctl_fd(ctl), .events = POLLIN,
	};
	int cnt = 0;

	do
		while (pt_ctl_take(ctl, line)) {
			cnt++;
			pt_ctl_answer(ctl, line);
		}
	while (poll(&poll_fd, 1, 0) > 0);
	return cnt;
}

#endif
