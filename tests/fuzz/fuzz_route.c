/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The kernel's answers to requests for a route and a neighbour, by the
 * fuzzer. */
#include "input.h"

#include <errno.h>
#include <stdlib.h>

#include <pagetrim/check.h>
#include "net/netlink.h"
#include "net/route.h"

static struct input answer;

/* This pt_netlink_ask replaces the real one.  Its messages have sound headers,
 * as from the kernel: libmnl itself trusts those. */
int pt_netlink_ask(int bus, struct nlmsghdr *nlh, mnl_cb_t take, void *data)
{
	size_t sz = input_u8(&answer) * 8;
	__u8 *buf = malloc(sz + 1);
	int ret;

	(void)bus;
	input_bytes(&answer, buf, sz);
	for (size_t at = 0; sz - at >= sizeof(*nlh);
	     at += NLMSG_ALIGN(nlh->nlmsg_len)) {
		nlh = (struct nlmsghdr *)(buf + at);
		nlh->nlmsg_seq = 1;
		nlh->nlmsg_pid = 0;
		if (nlh->nlmsg_len < sizeof(*nlh) || nlh->nlmsg_len > sz - at)
			nlh->nlmsg_len = sz - at;
	}
	ret = mnl_cb_run(buf, sz, 1, 0, take, data);
	if (ret < 0)
		ret = errno > 0 ? -errno : -EPROTO;
	else
		ret = 0;
	free(buf);
	return ret;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	struct pt_address dst = { .port = 1 };
	struct pt_route route;
	struct pt_error err;
	__u8 mac[6];

	answer = (struct input){ data, sz };
	input_bytes(&answer, dst.ip, sizeof(dst.ip));
	if (pt_route_find(&route, &dst, &err))
		return 0;
	pt_check(memchr(route.ifname, 0, sizeof(route.ifname)));
	pt_neighbour_find(route.ifindex, &route.next_hop, mac, &err);
	return 0;
}
