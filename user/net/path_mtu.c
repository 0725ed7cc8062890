// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/path_mtu.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include <pagetrim/wire.h>

#define ANSWER_MS	200	/* per echo; each is sent twice */
#define PROBES_MAX	16	/* echoes per measurement */
#define NEAR_SZ		16	/* bytes; the precision */
#define IP_SZ_MAX	65535
#define ICMP_HDR_SZ	8	/* of an echo, in both families */

/* An echo has the same eight bytes in both families. */
struct echo {
	__u8	type, code;
	__be16	checksum, id, seq;
} __attribute__((packed));

_Static_assert(sizeof(struct echo) == ICMP_HDR_SZ, "echo header");

struct prober {
	int	fd;
	bool	ipv6;
	bool	raw;		/* else the kernel matches the answers */
	__u16	id, seq;
	int	error;		/* -errno of a FAILED one */
	__u32	head_sz;	/* bytes of the IP header */
	__u8	packet[IP_SZ_MAX];
};

/* The result of an echo. */
enum fate { PASSED, TOO_BIG, SILENT, FAILED };

/* ---- the socket ---- */

/* open_socket opens a raw socket if privileged, else a ping socket, which
 * net.ipv4.ping_group_range allows to some groups. */
static int open_socket(struct prober *p)
{
	int family = p->ipv6 ? AF_INET6 : AF_INET;
	int proto = p->ipv6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP;

	p->fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	p->raw = p->fd >= 0;
	if (p->fd < 0)
		p->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK |
			       SOCK_CLOEXEC, proto);
	return p->fd < 0 ? -errno : 0;
}

static int set_options(struct prober *p)
{
	const int one = 1, v4 = IP_PMTUDISC_PROBE, v6 = IPV6_PMTUDISC_PROBE;
	bool bad;

	if (p->ipv6)
		bad = setsockopt(p->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6,
				 sizeof(v6)) ||
		      setsockopt(p->fd, IPPROTO_IPV6, IPV6_RECVERR, &one,
				 sizeof(one));
	else
		bad = setsockopt(p->fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4,
				 sizeof(v4)) ||
		      setsockopt(p->fd, IPPROTO_IP, IP_RECVERR, &one,
				 sizeof(one));
	return bad ? -errno : 0;
}

static int open_prober(struct prober *p, const struct pt_address *dst)
{
	struct sockaddr_storage sa;
	struct pt_address ip = *dst;
	socklen_t sa_sz;
	int ret;

	ip.port = 0;
	sa_sz = pt_address_to_sockaddr(&ip, &sa);
	p->ipv6 = !pt_address_is_v4(dst);
	p->head_sz = p->ipv6 ? 40 : 20;
	p->id = getpid();
	ret = open_socket(p);
	if (ret)
		return ret;
	ret = set_options(p);
	if (!ret && connect(p->fd, (struct sockaddr *)&sa, sa_sz))
		ret = -errno;
	if (ret)
		close(p->fd);
	return ret;
}

/* ---- one echo ---- */

/* sum16 returns the checksum of an ICMP packet (RFC 1071). */
static __u16 sum16(const __u8 *bytes, size_t sz)
{
	__u32 sum = 0;

	for (size_t i = 0; i + 1 < sz; i += 2)
		sum += (__u32)bytes[i] << 8 | bytes[i + 1];
	if (sz & 1)
		sum += (__u32)bytes[sz - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* send_echo sends an IP packet of sz bytes.  The kernel fills in the checksum
 * of ICMPv6 and of ping sockets. */
static int send_echo(struct prober *p, __u32 sz)
{
	struct echo echo = {
		.type = p->ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO,
		.id = htons(p->id),
		.seq = htons(++p->seq),
	};
	__u32 icmp_sz = sz - p->head_sz;

	memset(p->packet, 0, icmp_sz);
	memcpy(p->packet, &echo, sizeof(echo));
	if (!p->ipv6) {
		echo.checksum = htons(sum16(p->packet, icmp_sz));
		memcpy(p->packet, &echo, sizeof(echo));
	}
	if (send(p->fd, p->packet, icmp_sz, 0) < 0 && errno != ENOBUFS)
		return -errno;
	return 0;	/* a drop by the device counts as silence */
}

/* is_answer: the sz bytes received answer our last echo. */
static bool is_answer(const struct prober *p, const __u8 *bytes, size_t sz)
{
	size_t head = p->raw && !p->ipv6 && sz ? (bytes[0] & 15) * 4 : 0;
	struct echo echo;

	if (sz < head + sizeof(echo))
		return false;
	memcpy(&echo, bytes + head, sizeof(echo));
	return echo.type == (p->ipv6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY) &&
	       echo.seq == htons(p->seq) &&
	       (!p->raw || echo.id == htons(p->id));
}

/* read_error reads the error of a router or of our own kernel.  It returns the
 * errno, or 0 if there is none; *mtu is the size that would pass. */
static int read_error(struct prober *p, __u32 *mtu)
{
	char control[512] __attribute__((aligned(8)));
	struct msghdr msg = { .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct sock_extended_err ee;
	struct cmsghdr *c;

	if (recvmsg(p->fd, &msg, MSG_ERRQUEUE) < 0)
		return 0;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		bool v4 = c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR;
		bool v6 = c->cmsg_level == SOL_IPV6 &&
			  c->cmsg_type == IPV6_RECVERR;

		if ((!v4 && !v6) || c->cmsg_len < CMSG_LEN(sizeof(ee)))
			continue;
		memcpy(&ee, CMSG_DATA(c), sizeof(ee));
		*mtu = ee.ee_info;
		return ee.ee_errno;
	}
	return EIO;	/* an error without an errno */
}

static enum fate wait_answer(struct prober *p, __u32 *mtu)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };
	__u64 deadline = pt_deadline_ns(ANSWER_MS);
	__u8 bytes[256];	/* the rest of an answer is cut off */
	int said, left_ms;
	ssize_t sz;

	while ((left_ms = pt_left_ms(deadline))) {
		if (poll(&fd, 1, left_ms) <= 0)
			continue;
		while ((said = read_error(p, mtu)))
			if (said == EMSGSIZE)
				return TOO_BIG;
		sz = recv(p->fd, bytes, sizeof(bytes), 0);
		if (sz > 0 && is_answer(p, bytes, sz))
			return PASSED;
	}
	return SILENT;
}

/* probe: only the second silence counts. */
static enum fate probe(struct prober *p, __u32 sz, __u32 *mtu)
{
	enum fate fate = SILENT;
	int ret;

	for (int i = 0; i < 2 && fate == SILENT; i++) {
		ret = send_echo(p, sz);
		/* The next call reports an error that came before. */
		if (ret && ret != -EMSGSIZE)
			ret = send_echo(p, sz);
		if (ret && ret != -EMSGSIZE) {
			p->error = ret;
			return FAILED;
		}
		fate = wait_answer(p, mtu);
	}
	return fate;
}

/* ---- the search ---- */

/* halve: bisects between a size that passes and one that does not. */
static int halve(struct prober *p, __u32 low, __u32 high, __u32 *passed)
{
	__u32 mtu, mid;

	for (int i = 0; i < PROBES_MAX && high - low > NEAR_SZ; i++) {
		mid = (low + high) / 2;
		switch (probe(p, mid, &mtu)) {
		case PASSED:
			low = mid;
			break;
		case FAILED:
			return p->error;
		default:
			high = mid;
		}
	}
	*passed = low;
	return 0;
}

static int search(struct prober *p, __u32 sz, __u32 *passed, bool *hole)
{
	__u32 mtu = 0, least = PATH_MTU_LEAST;

	*hole = false;
	for (int i = 0; i < PROBES_MAX; i++) {
		switch (probe(p, sz, &mtu)) {
		case PASSED:
			*passed = sz;
			return 0;
		case TOO_BIG:
			if (mtu < least || mtu >= sz)
				goto search;	/* no MTU was reported */
			sz = mtu;
			break;
		case FAILED:
			return p->error;
		case SILENT:
			*hole = true;
			goto search;
		}
	}
search:
	if (sz <= least)
		return -ETIMEDOUT;
	if (sz > PT_MTU_MIN && probe(p, PT_MTU_MIN, &mtu) == PASSED)
		least = PT_MTU_MIN;
	else if (probe(p, least, &mtu) != PASSED)
		return -ETIMEDOUT;
	return halve(p, least, sz, passed);
}

int path_mtu_measure(const struct pt_address *dst, __u32 mtu, __u32 *passed,
		     bool *hole, struct pt_error *err)
{
	struct prober *p = calloc(1, sizeof(*p));
	const char *why;
	int ret;

	if (!p)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	ret = open_prober(p, dst);
	if (!ret) {
		ret = search(p, mtu < IP_SZ_MAX ? mtu : IP_SZ_MAX, passed,
			     hole);
		close(p->fd);
	}
	free(p);
	if (!ret)
		return 0;
	why = ret == -EACCES || ret == -EPERM ?
	      "it takes CAP_NET_RAW, or a group of net.ipv4.ping_group_range" :
	      ret == -ETIMEDOUT ? "the host answers no echo (ping)" :
	      strerror(-ret);
	return pt_error_set(err, PT_EXIT_HOST, ret, "%s", why);
}
