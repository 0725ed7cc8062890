/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "net/netlink.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define TIMEOUT_MS	1000
#define SEQ		1	/* the socket carries one request */
#define ANSWER_SZ	8192	/* bytes; a route or a neighbour takes < 500 */
#define READS_MAX	16

int pt_netlink_ask(int bus, struct nlmsghdr *nlh, mnl_cb_t answer, void *data)
{
	char buf[ANSWER_SZ] __attribute__((aligned(8)));
	struct pollfd readable = { .events = POLLIN };
	struct mnl_socket *sock;
	ssize_t sz;
	int ret;

	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = SEQ;
	sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!sock)
		return -errno;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(sock, nlh, nlh->nlmsg_len) < 0) {
		ret = -errno;
		goto close;
	}

	/* The answer comes first, then the ACK, which ends mnl_cb_run with
	 * 0. */
	readable.fd = mnl_socket_get_fd(sock);
	for (int i = 0; i < READS_MAX; i++) {
		ret = poll(&readable, 1, TIMEOUT_MS);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret <= 0) {
			ret = ret ? -errno : -ETIMEDOUT;
			goto close;
		}
		sz = mnl_socket_recvfrom(sock, buf, sizeof(buf));
		ret = sz < 0 ? -1 :
		      mnl_cb_run(buf, sz, SEQ, mnl_socket_get_portid(sock),
				 answer, data);
		if (ret <= 0) {
			ret = ret ? -errno : 0;
			goto close;
		}
	}
	ret = -ETIMEDOUT;
close:
	mnl_socket_close(sock);
	return ret;
}
