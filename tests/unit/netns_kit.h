/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* netns_kit: two hosts for a test, without names, gone when it ends.
 *
 *    this process               a child that only sleeps
 *    +---------------------+    +---------------------+
 *    | ptv0 10.7.0.1/24  ========= ptv1 10.7.0.2/24   |
 *    |      fd07::1/64     |    |      fd07::2/64     |
 *    | 02:00:00:00:00:01   |    | 02:00:00:00:00:02   |
 *    +---------------------+    +---------------------+
 */
#ifndef NETNS_KIT_H
#define NETNS_KIT_H

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t netns_peer;

/* sh runs a command and fails the test when it fails. */
static inline __attribute__((format(printf, 1, 2))) void
sh(const char *fmt, ...)
{
	char command[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command))
		fail_msg("failed: %s", command);
}

/* WAIT_LOCAL: shell words that wait until the kernel takes an IPv6 address for its
 * own.  A worker of the kernel's does that later, with nodad, too, and not before the
 * link is up. */
#define WAIT_LOCAL(address)						\
	"until ip -6 route show table local | grep -q " address "; do "	\
	"sleep 0.02; done"

static inline int netns_setup(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	if (pipe(ready))
		return -1;
	netns_peer = fork();
	if (!netns_peer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!unshare(CLONE_NEWNET) && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1 || unshare(CLONE_NEWNET)) {
		fprintf(stderr, "no network namespaces (run as root)\n");
		return -1;
	}
	close(ready[0]);
	sh("ip link set lo up");
	sh("ip link add ptv0 address 02:00:00:00:00:01 type veth "
	   "peer name ptv1 address 02:00:00:00:00:02 netns %d", netns_peer);
	sh("ip addr add 10.7.0.1/24 brd + dev ptv0");
	sh("ip addr add fd07::1/64 dev ptv0 nodad");
	sh("nsenter --net=/proc/%d/ns/net sh -c '"
	   "ip addr add 10.7.0.2/24 dev ptv1; ip link set ptv1 up; "
	   "ip addr add fd07::2/64 dev ptv1 nodad'", netns_peer);
	sh("ip link set ptv0 up; " WAIT_LOCAL("fd07::1"));
	sh("nsenter --net=/proc/%d/ns/net sh -c '" WAIT_LOCAL("fd07::2") "'",
	   netns_peer);
	return 0;
}

static inline int netns_teardown(void **state)
{
	(void)state;
	kill(netns_peer, SIGKILL);
	waitpid(netns_peer, NULL, 0);
	return 0;
}

#endif
