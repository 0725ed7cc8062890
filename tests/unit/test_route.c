/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "net/monitor.h"
#include "net/route.h"
#include "netns_kit.h"

#define WAIT_MS	5000

static struct pt_error err;

static struct pt_address address(const char *text)
{
	struct pt_address a;

	assert_int_equal(pt_address_parse(&a, text, 16644, &err), 0);
	return a;
}

/* Each row: `ip` arguments that make a route (or NULL), the destination, and
 * the result: src and next hop, or -errno and the error's text. */
static const struct row {
	const char *route;
	const char *dst;
	int want;
	const char *src;	/* or the error's text */
	const char *next_hop;	/* NULL: dst itself */
	__u32 mtu;
} rows[] = {
	{ NULL, "10.7.0.2", 0, "10.7.0.1", NULL, 0 },
	{ NULL, "fd07::2", 0, "fd07::1", NULL, 0 },
	{ "add 10.8.0.0/16 via 10.7.0.2 mtu 1400", "10.8.0.9", 0, "10.7.0.1",
	  "10.7.0.2", 1400 },
	{ "add fd08::/64 via fd07::2", "fd08::9", 0, "fd07::1", "fd07::2", 0 },
	{ "add 10.9.0.0/16 via inet6 fd07::2", "10.9.0.9", 0, "10.7.0.1",
	  "fd07::2", 0 },
	{ "add default via 10.7.0.2", "192.0.2.1", 0, "10.7.0.1", "10.7.0.2",
	  0 },
	{ "del default", "192.0.2.1", -ENETUNREACH,
	  "192.0.2.1: no route to it", NULL, 0 },
	{ NULL, "2001:db8::1", -ENETUNREACH, "no route to it", NULL, 0 },
	{ "add unreachable 10.10.0.0/16", "10.10.0.1", -EHOSTUNREACH,
	  "a route forbids it", NULL, 0 },
	{ "add prohibit 10.11.0.0/16", "10.11.0.1", -EHOSTUNREACH,
	  "a route forbids it", NULL, 0 },
	{ "add blackhole 10.12.0.0/16", "10.12.0.1", -EHOSTUNREACH,
	  "a route forbids it", NULL, 0 },
	{ "add unreachable fd10::/64", "fd10::1", -EHOSTUNREACH,
	  "a route forbids it", NULL, 0 },
	{ "add prohibit fd11::/64", "fd11::1", -EHOSTUNREACH,
	  "a route forbids it", NULL, 0 },
	{ "add blackhole fd12::/64", "fd12::1", -EHOSTUNREACH,
	  "a route forbids it", NULL, 0 },
	{ NULL, "10.7.0.1", -EADDRNOTAVAIL, "an address of this host", NULL,
	  0 },
	{ NULL, "127.0.0.1", -EADDRNOTAVAIL, "an address of this host", NULL,
	  0 },
	{ NULL, "::1", -EADDRNOTAVAIL, "an address of this host", NULL, 0 },
	{ NULL, "fd07::1", -EADDRNOTAVAIL, "an address of this host", NULL,
	  0 },
	{ NULL, "10.7.0.255", -EADDRNOTAVAIL, "not the address of one", NULL,
	  0 },
	{ "add 224.0.0.0/4 dev ptv0", "224.0.0.5", -EADDRNOTAVAIL,
	  "not the address of one", NULL, 0 },
	{ NULL, "ff05::1", -EADDRNOTAVAIL, "not the address of one", NULL, 0 },
	{ NULL, "0.0.0.0", -EADDRNOTAVAIL, "not the address of a host", NULL,
	  0 },
	{ NULL, "::", -EADDRNOTAVAIL, "not the address of a host", NULL, 0 },
	{ NULL, "fe80::9", -EINVAL, "link-local address without", NULL, 0 },
};

static void test_route_row(void **state)
{
	const struct row *row = *state;
	struct pt_address dst = address(row->dst);
	char text[PT_ADDRESS_TEXT_SZ];
	struct pt_route r;

	if (row->route)
		sh("ip %s route %s", strchr(row->dst, ':') ? "-6" : "-4",
		   row->route);
	err.text[0] = '\0';
	assert_int_equal(pt_route_find(&r, &dst, &err), row->want);
	if (row->want) {
		if (!strstr(err.text, row->src))
			fail_msg("'%s' lacks '%s'", err.text, row->src);
		return;
	}
	assert_string_equal(r.ifname, "ptv0");
	assert_int_equal(r.ifindex, if_nametoindex("ptv0"));
	assert_string_equal(pt_address_print(&r.src, text), row->src);
	assert_string_equal(pt_address_print(&r.next_hop, text),
			    row->next_hop ? row->next_hop : row->dst);
	assert_int_equal(r.gateway, row->next_hop != NULL);
	assert_int_equal(r.mtu, row->mtu);
}

static void test_link_local(void **state)
{
	struct pt_address dst = address("fe80::9%ptv0");
	struct pt_route r;

	(void)state;
	sh("ip addr add fe80::7/64 dev ptv0 nodad; " WAIT_LOCAL("fe80::7"));
	assert_int_equal(pt_route_find(&r, &dst, &err), 0);
	assert_string_equal(r.ifname, "ptv0");
	assert_int_equal(r.src.scope, r.ifindex);
	assert_int_equal(r.next_hop.scope, r.ifindex);
	assert_memory_equal(r.next_hop.ip, dst.ip, sizeof(dst.ip));
}

/* knock sends a datagram, so that the kernel asks for the MAC address. */
static void knock(const struct pt_address *a)
{
	struct sockaddr_storage sa;
	socklen_t sz = pt_address_to_sockaddr(a, &sa);
	int sock = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(sendto(sock, "", 1, 0, (struct sockaddr *)&sa, sz), 1);
	close(sock);
}

/* wait_change waits until the monitor reports one of the changes. */
static int wait_change(struct pt_monitor *m, int changes)
{
	struct pollfd fd = { .fd = pt_monitor_fd(m), .events = POLLIN };
	int seen = 0;

	while (!(seen & changes)) {
		if (poll(&fd, 1, WAIT_MS) != 1)
			fail_msg("change %d was never told", changes);
		assert_true(fd.revents & POLLIN);
		seen = pt_monitor_read(m, &err);
		assert_true(seen >= 0);
	}
	return seen;
}

static void test_neighbour(void **state)
{
	static const __u8 peer[6] = { 2, 0, 0, 0, 0, 2 };
	static const char *const texts[] = { "10.7.0.2", "fd07::2" };
	__u32 ifindex = if_nametoindex("ptv0");
	struct pt_monitor *m;
	struct pt_address a;
	__u8 mac[6];

	(void)state;
	assert_int_equal(pt_monitor_open(&m, ifindex, &err), 0);
	for (int i = 0; i < 2; i++) {
		a = address(texts[i]);
		memset(mac, 0xee, 6);
		assert_int_equal(pt_neighbour_find(ifindex, &a, mac, &err),
				 -EAGAIN);
		assert_int_equal(mac[0], 0xee);
		assert_non_null(strstr(err.text, texts[i]));
		knock(&a);
		while (pt_neighbour_find(ifindex, &a, mac, &err) == -EAGAIN)
			wait_change(m, PT_CHANGE_NEIGHBOUR);
		assert_memory_equal(mac, peer, 6);
	}
	pt_monitor_close(m);
}

/* No host answers for the address: unknown, however long the caller waits. */
static void test_neighbour_absent(void **state)
{
	struct pt_address a = address("10.7.0.77");
	__u32 ifindex = if_nametoindex("ptv0");
	__u8 mac[6];

	(void)state;
	knock(&a);
	assert_int_equal(pt_neighbour_find(ifindex, &a, mac, &err), -EAGAIN);
	sh("ip neigh replace 10.7.0.77 dev ptv0 nud failed");
	assert_int_equal(pt_neighbour_find(ifindex, &a, mac, &err), -EAGAIN);
	sh("ip neigh replace 10.7.0.77 lladdr 02:00:00:00:00:77 dev ptv0");
	assert_int_equal(pt_neighbour_find(ifindex, &a, mac, &err), 0);
	assert_int_equal(mac[5], 0x77);
}

static void test_neighbour_refused(void **state)
{
	struct pt_address a = address("10.7.0.2");
	__u8 mac[6];

	(void)state;
	assert_int_equal(pt_neighbour_find(99999, &a, mac, &err), -ENODEV);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_int_equal(pt_neighbour_find(if_nametoindex("lo"), &a, mac,
					   &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "lo: has no Ethernet addresses"));
}

/* quiet_host: a network namespace of its own for what follows, whose only device that
 * is up is qm0 and in which nothing changes by itself: no IPv6, no neighbour that is
 * probed, no link that still comes up.  Returns the one it stood in. */
static int quiet_host(void)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(home >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	sh("for i in all default; do "
	   "echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done");
	sh("ip link add qm0 type veth peer name qm1");
	sh("ip link add qo0 type veth peer name qo1");
	sh("ip link set qm1 up; ip link set qm0 up; "
	   "until ip link show dev qm0 | grep -q 'state UP' && "
	   "ip link show dev qm1 | grep -q 'state UP'; do sleep 0.02; done");
	sh("ip link set qm0 mtu 1300");		/* after what came up was told */
	return home;
}

static void test_monitor(void **state)
{
	int home = quiet_host(), seen;
	struct pt_monitor *m;

	(void)state;
	assert_int_equal(pt_monitor_open(&m, if_nametoindex("qm0"), &err), 0);
	assert_int_equal(pt_monitor_read(m, &err), 0);

	sh("ip link set qm0 mtu 1400");
	wait_change(m, PT_CHANGE_LINK);
	sh("ip route add 10.20.0.0/16 dev qm0");
	wait_change(m, PT_CHANGE_ROUTE);
	sh("ip neigh add 10.7.0.78 lladdr 02:00:00:00:00:78 dev qm0");
	wait_change(m, PT_CHANGE_NEIGHBOUR);
	assert_int_equal(pt_monitor_read(m, &err), 0);

	/* Another device changes, then a route: only that is reported. */
	sh("ip link set qo0 mtu 1300");
	sh("ip neigh add 10.7.0.79 lladdr 02:00:00:00:00:79 dev qo0");
	sh("ip route add 10.21.0.0/16 dev qm0");
	seen = wait_change(m, PT_CHANGE_ROUTE);
	assert_int_equal(seen, PT_CHANGE_ROUTE);

	/* Changes that overflow the socket are reported as one of every kind. */
	sh("for i in $(seq 0 250); do for k in $(seq 1 20); do "
	   "echo route add 10.30.$i.$k dev qm0; done; done | ip -batch -");
	seen = wait_change(m, PT_CHANGE_ROUTE);
	while (seen > 0 && !(seen & PT_CHANGE_LINK))
		seen = pt_monitor_read(m, &err);
	assert_int_equal(seen, PT_CHANGE_LINK | PT_CHANGE_ROUTE |
			 PT_CHANGE_NEIGHBOUR);
	pt_monitor_close(m);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

/* An address that the host had before is distinct from one that it has. */
static void test_local(void **state)
{
	struct pt_address v4 = address("10.7.0.77"), v6 = address("fd07::77");
	struct pt_address far = address("10.7.0.2");

	(void)state;
	assert_int_equal(pt_route_is_local(&v4, &err), -EADDRNOTAVAIL);
	sh("ip addr add 10.7.0.77/24 dev ptv0");
	sh("ip addr add fd07::77/64 dev ptv0 nodad; " WAIT_LOCAL("fd07::77"));
	assert_int_equal(pt_route_is_local(&v4, &err), 0);
	assert_int_equal(pt_route_is_local(&v6, &err), 0);
	assert_int_equal(pt_route_is_local(&far, &err), -EADDRNOTAVAIL);
	sh("ip addr del 10.7.0.77/24 dev ptv0");
	sh("ip addr del fd07::77/64 dev ptv0");
	assert_int_equal(pt_route_is_local(&v6, &err), -EADDRNOTAVAIL);
	assert_int_equal(pt_route_is_local(&v4, &err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "10.7.0.77: no longer an address"));
}

static void test_device_gone(void **state)
{
	struct pt_monitor *m;
	__u32 ifindex;

	(void)state;
	sh("ip link add ptg0 type veth peer name ptg1");
	ifindex = if_nametoindex("ptg0");
	assert_int_equal(pt_monitor_open(&m, ifindex, &err), 0);
	sh("ip link del ptg0");
	assert_true(wait_change(m, PT_CHANGE_GONE) & PT_CHANGE_LINK);
	assert_int_equal(pt_neighbour_find(ifindex, &(struct pt_address){},
					   (__u8[6]){}, &err), -ENODEV);
	pt_monitor_close(m);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(test_neighbour),
		cmocka_unit_test(test_neighbour_absent),
		cmocka_unit_test(test_neighbour_refused),
		cmocka_unit_test(test_link_local),
		cmocka_unit_test(test_monitor),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_device_gone),
	};
	struct CMUnitTest tests[64];
	size_t cnt = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			rows[i].route ? rows[i].route : rows[i].dst,
			test_route_row, NULL, NULL, (void *)&rows[i] };
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("route", tests, cnt, netns_setup,
				       netns_teardown);
}
