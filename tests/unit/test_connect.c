/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "conn_kit.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

/* connect_to returns the result of connecting to l, or to the text to. */
static int connect_to(const struct pt_listener *l, const char *to,
		      int timeout_ms, int stop_fd)
{
	char text[PT_ADDRESS_TEXT_SZ];
	struct pt_conn *c;
	int ret;

	err.text[0] = '\0';
	if (l)
		to = pt_address_print(pt_listener_address(l), text);
	ret = connect_wait(&c, to, &sender_cfg, timeout_ms, stop_fd, &err);
	if (!ret)
		pt_conn_close(c);
	return ret;
}

static void says(const char *why)
{
	if (!strstr(err.text, why))
		fail_msg("'%s' lacks '%s'", err.text, why);
}

static void test_refused(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	char text[PT_ADDRESS_TEXT_SZ];

	(void)state;
	pt_address_print(pt_listener_address(l), text);
	pt_listener_close(l);
	assert_int_equal(connect_to(NULL, text, WAIT_MS, -1), -EADDRNOTAVAIL);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	says(text);
	says("an address of this host itself");
}

/* A listening socket without accept: the kernel connects it. */
static void test_silent(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	int stop = eventfd(1, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(connect_to(l, NULL, 30, -1), -ETIMEDOUT);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	says("connected, but it says no HELLO");
	assert_int_equal(connect_to(l, NULL, WAIT_MS, stop), -ECANCELED);
	close(stop);
	pt_listener_close(l);
}

/* answer: a server that sends bytes to one client, and then reads to its
 * end. */
struct answer {
	int sock;
	const __u8 *bytes;
	size_t sz;
};

static void *answer(void *arg)
{
	struct answer *a = arg;
	int fd = accept(a->sock, NULL, NULL);
	char sink[64];

	send(fd, a->bytes, a->sz, MSG_NOSIGNAL);
	if (!a->sz)
		shutdown(fd, SHUT_WR);
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	close(fd);
	return NULL;
}

static int connect_to_answer(const void *bytes, size_t sz)
{
	struct answer a = { socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
			    bytes, sz };
	char text[PT_ADDRESS_TEXT_SZ];
	struct sockaddr_storage sa;
	struct pt_address addr;
	socklen_t sa_sz;
	pthread_t thread;
	int ret;

	assert_int_equal(pt_address_parse(&addr, "127.0.0.1", 0, &err), 0);
	sa_sz = pt_address_to_sockaddr(&addr, &sa);
	assert_int_equal(bind(a.sock, (struct sockaddr *)&sa, sa_sz), 0);
	assert_int_equal(listen(a.sock, 1), 0);
	assert_int_equal(getsockname(a.sock, (struct sockaddr *)&sa, &sa_sz),
			 0);
	assert_true(pt_address_from_sockaddr(&addr, &sa));
	assert_int_equal(pthread_create(&thread, NULL, answer, &a), 0);
	ret = connect_to(NULL, pt_address_print(&addr, text), WAIT_MS, -1);
	pthread_join(thread, NULL);
	close(a.sock);
	return ret;
}

static void test_not_pagetrim(void **state)
{
	__u8 bytes[64];

	(void)state;
	assert_int_equal(connect_to_answer("SSH-2.0-x\r\n", 11), -EPROTO);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	says("is not pagetrim (is the port right?)");
	assert_int_equal(connect_to_answer("", 0), -EPIPE);
	assert_int_equal(connect_to_answer(bytes, put_hello(bytes,
			 PT_ROLE_RECEIVER, 4, 5)), -EPROTONOSUPPORT);
	says("speaks version 4..5, we speak version 3");
	assert_int_equal(connect_to_answer(bytes, put_hello(bytes,
			 PT_ROLE_SENDER, 3, 3)), -EPROTO);
	says("is a sender, as we are");
	assert_int_equal(connect_to_answer(bytes, put_hello(bytes,
			 PT_ROLE_RECEIVER, 3, 3)), 0);
}

/* "::" accepts IPv4, and names its clients by their IPv4 address. */
static void test_dual_stack(void **state)
{
	struct pt_listener *l = listen_at("::", &receiver_cfg);
	struct caller caller = { .cfg = &sender_cfg, .ret = 1 };
	pthread_t thread;
	struct pt_conn *c;

	(void)state;
	snprintf(caller.to, sizeof(caller.to), "127.0.0.1:%u",
		 pt_listener_address(l)->port);
	assert_int_equal(pthread_create(&thread, NULL, call, &caller), 0);
	assert_int_equal(accept_any(l, &c), 1);
	pthread_join(thread, NULL);
	assert_int_equal(caller.ret, 0);
	assert_true(pt_address_is_v4(pt_conn_peer(c)));
	assert_true(pt_address_is_v4(pt_conn_local(c)));
	pt_conn_close(caller.conn);
	pt_conn_close(c);
	pt_listener_close(l);
}

static void test_bad_address(void **state)
{
	(void)state;
	assert_int_equal(connect_to(NULL, "127.0.0.1:99999", WAIT_MS, -1),
			 -EINVAL);
	assert_int_equal(err.exit, PT_EXIT_USAGE);
	assert_int_equal(connect_to(NULL, "fe80::1", WAIT_MS, -1), -EINVAL);
	says("[fe80::1]:16644: a link-local address needs its device");
}

/* In a network namespace without any link: no route to anywhere. */
static void *unreachable(void *arg)
{
	int *ret = arg;

	*ret = unshare(CLONE_NEWNET) ? -errno :
	       connect_to(NULL, "192.0.2.1", WAIT_MS, -1);
	return NULL;
}

static void test_unreachable(void **state)
{
	pthread_t thread;
	int ret = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, unreachable, &ret), 0);
	pthread_join(thread, NULL);
	assert_int_equal(ret, -ENETUNREACH);
	says("192.0.2.1:16644: Network is unreachable (");
}

/* A lack of this host is no fault of the peer. */
static void test_few_descriptors(void **state)
{
	int next = dup(STDIN_FILENO);
	struct rlimit old, few;

	(void)state;
	assert_true(next >= 0 && !close(next));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	for (few.rlim_cur = next; few.rlim_cur < (rlim_t)next + 4;
	     few.rlim_cur++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		if (connect_to(NULL, "127.0.0.1:9", WAIT_MS, -1) != -EMFILE)
			break;
		assert_int_equal(err.exit, PT_EXIT_HOST);
		says("raise ulimit -n");
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(few.rlim_cur > (rlim_t)next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_not_pagetrim),
		cmocka_unit_test(test_dual_stack),
		cmocka_unit_test(test_bad_address),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_few_descriptors),
	};

	return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
