// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Keys that are read again: the states that systemd gets, and a file system that hangs
 * meanwhile, by fanotify(7), which lets an open(2) wait. */
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "scratch.h"

#include <pagetrim/clock.h>
#include "service/reload.h"
#include "tls/psk.h"

#define LONG_MS		30000
#define NEVER_MS	300
#define KEY		SCRATCH "/key"
#define SOCKET		SCRATCH "/socket"

static const struct pt_tls_cfg tls_cfg = { .psk_path = KEY };
static struct pt_reload_cfg cfg = { .tls = &tls_cfg };
static struct pt_notify *notifier;
static struct pt_reload *reload;
static struct pt_error err;
static int sock = -1, gate = -1;

static int set_up(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	struct pt_psk psk;

	(void)state;
	unlink(KEY);
	assert_int_equal(pt_psk_make(&psk, "one", &err), 0);
	assert_int_equal(pt_psk_save(&psk, KEY, &err), 0);
	unlink(SOCKET);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setenv("NOTIFY_SOCKET", SOCKET, 1);
	assert_int_equal(pt_notify_open(&notifier, &err), 0);
	assert_int_equal(pt_notify_start(notifier, &err), 0);
	cfg.notify = notifier;
	assert_int_equal(pt_reload_open(&reload, &cfg, &err), 0);
	gate = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pt_notify_close(notifier);
	close(sock);
	close(gate);	/* an open that waits goes on */
	return 0;
}

/* close_gate: each open of the key waits from now on. */
static void close_gate(void)
{
	if (gate < 0 || fanotify_mark(gate, FAN_MARK_ADD, FAN_OPEN_PERM, -1,
				      KEY))
		skip();		/* a kernel without such events */
}

static void await_one(void)
{
	struct pollfd fd = { .fd = gate, .events = POLLIN };

	assert_int_equal(poll(&fd, 1, LONG_MS), 1);
}

/* let_one lets the one go on that waits next. */
static void let_one(void)
{
	struct fanotify_event_metadata event;
	struct fanotify_response answer = { .response = FAN_ALLOW };

	await_one();
	assert_int_equal(read(gate, &event, sizeof(event)), sizeof(event));
	answer.fd = event.fd;
	assert_int_equal(write(gate, &answer, sizeof(answer)), sizeof(answer));
	close(event.fd);
}

static void assert_told(const char *text)
{
	struct pollfd fd = { .fd = sock, .events = POLLIN };
	char told[PT_NOTIFY_TEXT_SZ] = "";

	assert_int_equal(poll(&fd, 1, LONG_MS), 1);
	assert_true(recv(sock, told, sizeof(told) - 1, 0) > 0);
	assert_memory_equal(told, text, strlen(text));
}

static void assert_not_told(void)
{
	struct pollfd fd = { .fd = sock, .events = POLLIN };

	assert_int_equal(poll(&fd, 1, NEVER_MS), 0);
}

static void take(void)
{
	struct pollfd fd = { .fd = pt_reload_fd(reload), .events = POLLIN };
	struct pt_reloaded taken;

	assert_int_equal(poll(&fd, 1, LONG_MS), 1);
	if (pt_reload_take(reload, &taken, &err) != 1)
		fail_msg("%s", err.text);
	pt_tls_close(taken.tls);
}

static void test_one(void **state)
{
	(void)state;
	pt_reload_ask(reload);
	assert_told("RELOADING=1\nMONOTONIC_USEC=");
	take();
	assert_told("READY=1");
	assert_true(pt_reload_close(reload));
}

/* The files of the first request do not answer the second. */
static void test_asked_again(void **state)
{
	(void)state;
	close_gate();
	pt_reload_ask(reload);
	let_one();
	poll(&(struct pollfd){ pt_reload_fd(reload), POLLIN, 0 }, 1, LONG_MS);
	pt_reload_ask(reload);
	take();		/* the second one's file is not open yet */
	assert_told("RELOADING=1");
	assert_told("RELOADING=1");
	assert_not_told();
	let_one();
	take();
	assert_told("READY=1");
	assert_true(pt_reload_close(reload));
}

static void test_hangs(void **state)
{
	__u64 begun_ns = pt_clock_ns();

	(void)state;
	close_gate();
	pt_reload_ask(reload);
	await_one();
	assert_false(pt_reload_close(reload));
	assert_true(pt_clock_ns() - begun_ns < LONG_MS * 1000000ULL);
	let_one();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asked_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_hangs, set_up, tear_down),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
