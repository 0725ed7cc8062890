/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* loopback: TCP connections of the process with itself. */
#ifndef FUZZ_LOOPBACK_H
#define FUZZ_LOOPBACK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/check.h>

/* loopback_connect opens a client of that port, which leaves no socket in
 * TIME_WAIT when it closes: one per input would use up the ports. */
static inline int loopback_connect(__u16 port)
{
	const struct linger at_once = { .l_onoff = 1 };
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	pt_check(fd >= 0);
	pt_check(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
			     sizeof(at_once)));
	pt_check(!connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return fd;
}

/* loopback_listen opens a server on some port. */
static inline int loopback_listen(__u16 *port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t sz = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	pt_check(fd >= 0);
	pt_check(!bind(fd, (struct sockaddr *)&at, sz) && !listen(fd, 8));
	pt_check(!getsockname(fd, (struct sockaddr *)&at, &sz));
	*port = ntohs(at.sin_port);
	return fd;
}

#endif
