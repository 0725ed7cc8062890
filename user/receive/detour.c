/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/detour.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/wire.h>
#include "net/local.h"

#define BUFFER_SZ	(256 << 10)	/* of the kernel's, for a few frames */
#define IN6_PKTINFO_SZ	CMSG_SPACE(sizeof(struct in6_pktinfo))

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

/* configure: an IPv6 socket takes both kinds, as the listener's does, and
 * frames without a UDP checksum. */
static int configure(int fd, int family)
{
	int ret = set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_SZ);

	if (ret || family == AF_INET)
		return ret ? ret : set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	ret = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (!ret)
		ret = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	return ret ? ret : set(fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, 1);
}

int pt_detour_open(const struct pt_address *listen)
{
	struct sockaddr_storage sa;
	int fd, ret;

	pt_address_to_sockaddr(listen, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ret = configure(fd, sa.ss_family);
	if (!ret)
		ret = pt_local_bind(fd, listen);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* came_by returns the number of the device; 0: not reported by the kernel. */
static unsigned came_by(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in6_pktinfo v6;
		struct in_pktinfo v4;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			return v4.ipi_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			return v6.ipi6_ifindex;
		}
	}
	return 0;
}

bool pt_detour_find(int fd, __u64 session_id, char dev[IF_NAMESIZE])
{
	struct pt_frame_hdr hdr = { 0 };
	struct iovec part = { .iov_base = &hdr, .iov_len = sizeof(hdr) };
	char control[IN6_PKTINFO_SZ]
		__attribute__((aligned(__alignof__(struct cmsghdr))));
	bool found = false;

	for (int i = 0; fd >= 0 && i < PT_DETOUR_READ_MAX; i++) {
		struct msghdr m = {
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};

		ssize_t sz = recvmsg(fd, &m, MSG_DONTWAIT);

		if (sz < 0)
			break;
		if (sz == sizeof(hdr) &&
		    hdr.magic == htobe32(PT_FRAME_MAGIC) &&
		    hdr.session_id == htobe64(session_id) &&
		    if_indextoname(came_by(&m), dev))
			found = true;
	}
	return found;
}
