/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A notifier, and a socket in systemd's place that is read, full or absent.
 * States come whole and in order; the watchdog is fed while the caller's loop
 * lives, and only then; nobody waits for a socket that is not read. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <pagetrim/clock.h>
#include "service/notify.h"

#define LONG_MS		30000
#define WATCHDOG_MS	200

static struct pt_notify *notifier;
static char path[64];
static int sock = -1;

static void set_up(const char *watchdog_us)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	sprintf(path, "/tmp/pt-notify-%d", getpid());
	strcpy(sa.sun_path, path);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(sock >= 0);
	unlink(path);
	assert_false(bind(sock, (struct sockaddr *)&sa, sizeof(sa)));
	setenv("NOTIFY_SOCKET", path, 1);
	if (watchdog_us)
		setenv("WATCHDOG_USEC", watchdog_us, 1);
	assert_false(pt_notify_open(&notifier, NULL));
	assert_non_null(notifier);
	assert_false(pt_notify_start(notifier, NULL));
}

static int tear_down(void **state)
{
	(void)state;
	close(sock);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	return 0;
}

/* heard returns whether a state comes within ms, and writes it. */
static bool heard(char text[PT_NOTIFY_TEXT_SZ], int ms)
{
	struct pollfd fd = { .fd = sock, .events = POLLIN };
	ssize_t sz;

	if (poll(&fd, 1, ms) != 1)
		return false;
	sz = recv(sock, text, PT_NOTIFY_TEXT_SZ - 1, 0);
	assert_true(sz > 0);
	text[sz] = '\0';
	return true;
}

static void test_states_in_order(void **state)
{
	char text[PT_NOTIFY_TEXT_SZ];
	unsigned long long usec;
	__u64 before_us = pt_clock_ns() / 1000;

	(void)state;
	set_up(NULL);
	pt_notify_say(notifier, "READY=1\nSTATUS=%s", "listens");
	pt_notify_reloading(notifier);
	pt_notify_say(notifier, "STOPPING=1");
	pt_notify_close(notifier);	/* after all was sent */
	assert_true(heard(text, 0));
	assert_string_equal(text, "READY=1\nSTATUS=listens");
	assert_true(heard(text, 0));
	assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu",
				&usec), 1);
	assert_true(usec >= before_us && usec <= pt_clock_ns() / 1000);
	assert_true(heard(text, 0));
	assert_string_equal(text, "STOPPING=1");
	assert_false(heard(text, 0));
}

/* A loop that was alive a hundred times is alive once; one that stands still is
 * not, however long. */
static void test_watchdog_needs_life(void **state)
{
	char text[PT_NOTIFY_TEXT_SZ];

	(void)state;
	set_up("200000");
	assert_false(heard(text, 2 * WATCHDOG_MS));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++)
			pt_notify_alive(notifier);
		assert_true(heard(text, LONG_MS));
		assert_string_equal(text, "WATCHDOG=1");
		assert_false(heard(text, 2 * WATCHDOG_MS));
	}
	pt_notify_close(notifier);
}

/* The watchdog's time is fed twice, as sd_watchdog_enabled(3) advises. */
static void test_watchdog_half(void **state)
{
	char text[PT_NOTIFY_TEXT_SZ];
	__u64 begun_ns, ended_ns;

	(void)state;
	set_up("200000");
	pt_notify_alive(notifier);
	assert_true(heard(text, LONG_MS));
	begun_ns = pt_clock_ns();
	pt_notify_alive(notifier);
	assert_true(heard(text, LONG_MS));
	ended_ns = pt_clock_ns();
	/* Not much earlier; later only by this machine's load. */
	assert_true(ended_ns - begun_ns > WATCHDOG_MS * 1000000ULL / 4);
	pt_notify_close(notifier);
}

static void say_a_lot(void)
{
	for (int i = 0; i < 1000; i++) {
		pt_notify_reloading(notifier);
		pt_notify_say(notifier, "READY=1");
	}
	for (int i = 0; i < 1000; i++)
		pt_notify_say(notifier, "STATUS=%d", i);
	pt_notify_say(notifier, "STOPPING=1");
}

/* fill sends texts until no more fit. */
static void fill(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	strcpy(sa.sun_path, path);
	assert_false(connect(filler, (struct sockaddr *)&sa, sizeof(sa)));
	while (send(filler, "x", 1, 0) == 1)
		;
	assert_int_equal(errno, EAGAIN);
	close(filler);
}

static void test_full_socket(void **state)
{
	char text[PT_NOTIFY_TEXT_SZ];
	__u64 begun_ns;

	(void)state;
	set_up(NULL);
	fill();
	begun_ns = pt_clock_ns();
	say_a_lot();
	pt_notify_close(notifier);	/* its thread stays */
	assert_true(pt_clock_ns() - begun_ns < LONG_MS * 1000000ULL);
	do	/* so that it sends nothing to the next test's socket */
		assert_true(heard(text, LONG_MS));
	while (strcmp(text, "STOPPING=1"));
	pt_notify_close(notifier);	/* it has ended now */
}

/* A late reader gets the last states and the last status. */
static void test_latest_counts(void **state)
{
	char texts[3][PT_NOTIFY_TEXT_SZ] = { "" };

	(void)state;
	set_up(NULL);
	fill();
	say_a_lot();
	do {
		memmove(texts[0], texts[1], 2 * sizeof(texts[0]));
		assert_true(heard(texts[2], LONG_MS));
	} while (strcmp(texts[2], "STOPPING=1"));
	assert_string_equal(texts[1], "STATUS=999");
	assert_string_equal(texts[0], "READY=1");
	pt_notify_close(notifier);
}

/* While it stays it asks for more time, but only while the caller's loop lives;
 * afterwards no more. */
static void test_stays(void **state)
{
	char text[PT_NOTIFY_TEXT_SZ];
	unsigned long long usec;

	(void)state;
	set_up(NULL);
	pt_notify_alive(notifier);
	assert_false(heard(text, WATCHDOG_MS));
	pt_notify_stays(notifier, true);
	assert_true(heard(text, LONG_MS));
	assert_int_equal(sscanf(text, "EXTEND_TIMEOUT_USEC=%llu", &usec), 1);
	pt_notify_stays(notifier, true);	/* at once, but nobody lives */
	assert_false(heard(text, WATCHDOG_MS));
	pt_notify_alive(notifier);
	assert_true(heard(text, usec / 1000));
	pt_notify_stays(notifier, false);
	pt_notify_alive(notifier);
	assert_false(heard(text, WATCHDOG_MS));
	pt_notify_close(notifier);
}

static void test_nobody_listens(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_false(pt_notify_open(&notifier, NULL));
	assert_null(notifier);
	assert_false(pt_notify_start(notifier, NULL));
	pt_notify_say(notifier, "READY=1");
	pt_notify_alive(notifier);
	pt_notify_close(notifier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test_teardown(test_states_in_order, tear_down),
		cmocka_unit_test_teardown(test_watchdog_needs_life, tear_down),
		cmocka_unit_test_teardown(test_watchdog_half, tear_down),
		cmocka_unit_test_teardown(test_full_socket, tear_down),
		cmocka_unit_test_teardown(test_latest_counts, tear_down),
		cmocka_unit_test_teardown(test_stays, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
