/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guest_net: eth0 with 10.78.0.2/24, and a server on port 7 for client.py.
 *
 *     TCP   line "N"  -> line "N COUNT": COUNT lines came by this connection
 *     UDP   datagram  -> the same
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define PORT		7
#define CONNECTIONS_MAX	8
#define LINE_SZ		64
#define BUFFER_SZ	4096

struct connection {
	int fd;			/* -1: none */
	__u64 line_cnt;
	size_t len;
	char line[LINE_SZ];
};

static struct connection connections[CONNECTIONS_MAX];

static void address_set(const char *dev, const char *addr, const char *mask,
			int is_last)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(ifr.ifr_name, dev, IFNAMSIZ - 1);
	in->sin_family = AF_INET;
	inet_pton(AF_INET, addr, &in->sin_addr);
	if (ioctl(fd, SIOCSIFADDR, &ifr) && is_last)
		give_up(dev);
	inet_pton(AF_INET, mask, &in->sin_addr);
	ioctl(fd, SIOCSIFNETMASK, &ifr);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		give_up(dev);
	close(fd);
}

static int server_open(int type)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    (type == SOCK_STREAM && listen(fd, CONNECTIONS_MAX)))
		give_up("server");
	return fd;
}

static void connection_take(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int i, one = 1;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (i = 0; i < CONNECTIONS_MAX; i++) {
		if (connections[i].fd >= 0)
			continue;
		connections[i] = (struct connection){ .fd = fd };
		return;
	}
	close(fd);
}

static void connection_end(struct connection *c)
{
	close(c->fd);
	c->fd = -1;
}

/* line_answer: the client reads all the time, so an answer always fits. */
static void line_answer(struct connection *c)
{
	char answer[2 * LINE_SZ];
	int len;

	c->line[c->len] = 0;
	len = snprintf(answer, sizeof(answer), "%s %llu\n", c->line,
		       (unsigned long long)++c->line_cnt);
	c->len = 0;
	if (send(c->fd, answer, len, MSG_NOSIGNAL) != len)
		connection_end(c);
	else
		counts.answers++;
}

static void connection_serve(struct connection *c)
{
	char buffer[BUFFER_SZ];
	ssize_t i, got = recv(c->fd, buffer, sizeof(buffer), 0);

	if (got <= 0) {
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			connection_end(c);
		return;
	}
	for (i = 0; i < got && c->fd >= 0; i++) {
		if (buffer[i] == '\n')
			line_answer(c);
		else if (c->len < LINE_SZ - 1)
			c->line[c->len++] = buffer[i];
	}
}

static void datagrams_serve(int fd)
{
	char buffer[BUFFER_SZ];
	struct sockaddr_in from;

	for (;;) {
		socklen_t from_sz = sizeof(from);
		ssize_t got = recvfrom(fd, buffer, sizeof(buffer), 0,
				       (struct sockaddr *)&from, &from_sz);

		if (got < 0)
			return;
		sendto(fd, buffer, got, 0, (struct sockaddr *)&from, from_sz);
		counts.answers++;
	}
}

static void *server_thread(void *arg)
{
	int listener = server_open(SOCK_STREAM), udp = server_open(SOCK_DGRAM);
	struct pollfd p[CONNECTIONS_MAX + 2];
	int i;

	(void)arg;
	for (;;) {
		p[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = udp, .events = POLLIN };
		for (i = 0; i < CONNECTIONS_MAX; i++)
			p[i + 2] = (struct pollfd){ .fd = connections[i].fd,
						    .events = POLLIN };
		if (poll(p, CONNECTIONS_MAX + 2, -1) < 0)
			continue;
		if (p[1].revents)
			datagrams_serve(udp);
		for (i = 0; i < CONNECTIONS_MAX; i++)
			if (p[i + 2].revents)
				connection_serve(&connections[i]);
		if (p[0].revents)
			connection_take(listener);
	}
	return NULL;
}

void net_begin(void)
{
	int i;

	for (i = 0; i < CONNECTIONS_MAX; i++)
		connections[i].fd = -1;
	for (i = 0; i < 100 && !if_nametoindex("eth0"); i++)
		usleep(50000);
	address_set("lo", "127.0.0.1", "255.0.0.0", 0);
	address_set("eth0", "10.78.0.2", "255.255.255.0", 1);
	thread_begin(server_thread, NULL);
}
