/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A stranger sends bytes to the listener, in two pieces, and closes.  A
 * connection is accepted only after a HELLO, and never where a key is required,
 * since the fuzzer has none.  The first byte: bits 0..6: the end of the first
 * piece, in units of four bytes; bit 7: a key is required. */
#include "folder.h"
#include "input.h"
#include "loopback.h"

#include <poll.h>

#include "channel/listener.h"
#include "tls/psk.h"
#include "tls/tls.h"

#define HELLO_SZ	(PT_MESSAGE_HDR_SZ + 17)

static struct pt_listener *listeners[2];	/* clear, with a key */

static void listen_once(void)
{
	struct pt_conn_cfg cfg = { .role = PT_ROLE_RECEIVER };
	struct pt_address at;
	struct pt_psk psk;

	if (listeners[0])
		return;
	folder_make("key");
	pt_check(!pt_address_parse(&at, "127.0.0.1", 0, NULL));
	pt_check(!pt_listener_open(&listeners[0], &at, &cfg, NULL));
	pt_check(!pt_psk_make(&psk, "pagetrim", NULL) &&
		 !pt_psk_save(&psk, folder_file, NULL));
	pt_check(!pt_tls_open(&cfg.tls, PT_ROLE_RECEIVER,
			      &(struct pt_tls_cfg){ .psk_path = folder_file },
			      NULL));
	pt_check(!pt_listener_open(&listeners[1], &at, &cfg, NULL));
}

/* hear runs the listener on the bytes received so far. */
static int hear(struct pt_listener *l, struct pt_conn **c)
{
	struct pollfd fd = { pt_listener_fd(l), POLLIN, 0 };
	struct pt_error err;
	int ret;

	do
		ret = pt_listener_accept(l, c, &err);
	while (!ret && poll(&fd, 1, 0) == 1);
	pt_check(ret >= 0 || memchr(err.text, 0, sizeof(err.text)));
	return ret;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	struct input in = { data, sz };
	__u8 options = input_u8(&in);
	size_t first = options % 128 * 4;
	struct pt_conn *c = NULL;
	struct pt_listener *l;
	struct pt_message m;
	int fd, ret;

	listen_once();
	l = listeners[options >> 7];
	fd = loopback_connect(pt_listener_address(l)->port);
	first = first < in.sz ? first : in.sz;
	pt_check(send(fd, in.at, first, 0) >= 0);
	ret = hear(l, &c);
	if (!ret && first < in.sz)
		pt_check(send(fd, in.at + first, in.sz - first,
			      MSG_NOSIGNAL) >= 0);
	shutdown(fd, SHUT_WR);
	while (!ret)
		ret = hear(l, &c);
	if (ret > 0) {
		pt_check(l == listeners[0] && in.sz >= HELLO_SZ);
		while ((ret = pt_conn_recv(c, &m, NULL)) > 0)
			;
		pt_check(ret < 0);	/* all bytes are sent */
		pt_conn_close(c);
	}
	close(fd);
	return 0;
}
