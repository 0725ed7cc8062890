/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tls_proxy: an attacker between a sender and a listener: it forwards both
 * sides' bytes, and changes one byte or cuts the connection there. */
#ifndef TLS_PROXY_H
#define TLS_PROXY_H

#include "conn_kit.h"

struct proxy {
	size_t cut_at;		/* bytes of the client's that pass; ~0: all */
	size_t flip_at;		/* the byte of the client's that is changed */
	size_t server_flip_at;	/* and of the listener's */
	const struct pt_listener *listener;
	struct pt_conn_cfg cfg;	/* of the client */

	/* The observed events. */
	__u8 from_server[16384];
	size_t client_sz, server_sz;	/* bytes sent */
	struct caller caller;

	int sock;		/* where the client connects to */
	pthread_t thread, client;
};

static inline int proxy_listen(char text[PT_ADDRESS_TEXT_SZ])
{
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage sa;
	struct pt_address addr;
	socklen_t sz;

	assert_int_equal(pt_address_parse(&addr, "127.0.0.1", 0, &err), 0);
	sz = pt_address_to_sockaddr(&addr, &sa);
	assert_int_equal(bind(sock, (struct sockaddr *)&sa, sz), 0);
	assert_int_equal(listen(sock, 1), 0);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&sa, &sz), 0);
	assert_true(pt_address_from_sockaddr(&addr, &sa));
	pt_address_print(&addr, text);
	return sock;
}

/* proxy_client forwards the client's bytes; false: that was all. */
static inline bool proxy_client(struct proxy *p, int client, int server)
{
	__u8 buf[4096];
	size_t room = p->cut_at - p->client_sz;
	ssize_t sz = recv(client, buf, sizeof(buf), 0);

	if (sz <= 0)
		return false;
	if (p->flip_at >= p->client_sz && p->flip_at < p->client_sz + sz)
		buf[p->flip_at - p->client_sz] ^= 0x20;
	if ((size_t)sz > room)
		sz = room;
	p->client_sz += sz;
	return send(server, buf, sz, MSG_NOSIGNAL) == sz &&
	       p->client_sz < p->cut_at;
}

static inline bool proxy_server(struct proxy *p, int client, int server)
{
	__u8 buf[4096];
	ssize_t sz = recv(server, buf, sizeof(buf), 0);

	if (sz <= 0)
		return false;
	if (p->server_flip_at >= p->server_sz &&
	    p->server_flip_at < p->server_sz + sz)
		buf[p->server_flip_at - p->server_sz] ^= 0x20;
	if (p->server_sz + sz <= sizeof(p->from_server))
		memcpy(p->from_server + p->server_sz, buf, sz);
	p->server_sz += sz;
	return send(client, buf, sz, MSG_NOSIGNAL) == sz;
}

static inline void *proxy_main(void *arg)
{
	struct proxy *p = arg;
	int client = accept(p->sock, NULL, NULL);
	int server = raw_connect(p->listener);
	struct pollfd fds[2] = { { .fd = client, .events = POLLIN },
				 { .fd = server, .events = POLLIN } };
	bool go_on = p->cut_at > 0;

	while (go_on && poll(fds, 2, WAIT_MS) > 0) {
		if (fds[0].revents)
			go_on = proxy_client(p, client, server);
		if (go_on && fds[1].revents)
			go_on = proxy_server(p, client, server);
	}
	close(client);
	close(server);
	close(p->sock);
	return NULL;
}

static inline void proxy_start(struct proxy *p)
{
	p->sock = proxy_listen(p->caller.to);
	p->caller.cfg = &p->cfg;
	assert_int_equal(pthread_create(&p->thread, NULL, proxy_main, p), 0);
	assert_int_equal(pthread_create(&p->client, NULL, call, &p->caller),
			 0);
}

static inline void proxy_join(struct proxy *p)
{
	pthread_join(p->client, NULL);
	if (!p->caller.ret)
		pt_conn_close(p->caller.conn);
	pthread_join(p->thread, NULL);
}

#endif
