/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A stranger's bytes to the listener, in two pieces, and then its end.  Whoever
 * gets in said a HELLO; every stranger leaves the house again. */
#include "input.h"
#include "loopback.h"

#include <poll.h>

#include "control/listener.h"

static struct pt_listener *listener;

static void listen_once(void)
{
	const struct pt_conn_cfg cfg = { .role = PT_ROLE_RECEIVER };
	struct pt_address at;

	if (listener)
		return;
	pt_check(!pt_address_parse(&at, "127.0.0.1", 0, NULL));
	pt_check(!pt_listener_open(&listener, &at, &cfg, NULL));
}

/* hear: what the listener makes of what came so far. */
static int hear(struct pt_conn **c)
{
	struct pollfd fd = { pt_listener_fd(listener), POLLIN, 0 };
	struct pt_error err;
	int ret;

	do
		ret = pt_listener_accept(listener, c, &err);
	while (!ret && poll(&fd, 1, 0) == 1);
	pt_check(ret >= 0 || memchr(err.text, 0, sizeof(err.text)));
	return ret;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	size_t first = sz ? data[0] : 0;
	struct pt_conn *c = NULL;
	struct pt_message m;
	int fd, ret;

	listen_once();
	fd = loopback_connect(pt_listener_address(listener)->port);
	first = first < sz ? first : sz;
	pt_check(send(fd, data + 1, first ? first - 1 : 0, 0) >= 0);
	ret = hear(&c);
	if (!ret && first < sz)
		pt_check(send(fd, data + first, sz - first, MSG_NOSIGNAL) >= 0);
	shutdown(fd, SHUT_WR);
	while (!ret)
		ret = hear(&c);
	if (ret > 0) {
		pt_check(sz >= 1 + PT_MESSAGE_HDR_SZ + 17);
		while ((ret = pt_conn_recv(c, &m, NULL)) > 0)
			;
		pt_check(ret < 0);	/* it has said all */
		pt_conn_close(c);
	}
	close(fd);
	return 0;
}
