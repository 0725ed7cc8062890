/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The two ends of a program that moves itself, without the transfer between them:
 * each callback of the program is called at its time, and its errors count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/live_recv.h"
#include "api/live_send.h"

#define STATE_SZ	(3u << 20)	/* more than a socket takes at once */

static char page[4096] __attribute__((aligned(4096)));
static const struct pt_region table = { page, 0, sizeof(page), NULL };
static char state_bytes[STATE_SZ];

/* The program: its answers, and how often it was asked. */
static int pause_ret, state_ret, take_ret, run_ret;
static uint64_t state_sz;
static unsigned pauses, resumes, takes, runs;
static bool is_same;

static int on_pause(void *arg)
{
	(void)arg;
	pauses++;
	return pause_ret;
}

static int on_state(const void **bytes, uint64_t *sz, void *arg)
{
	(void)arg;
	*bytes = state_bytes;
	*sz = state_sz;
	return state_ret;
}

static void on_resume(void *arg)
{
	(void)arg;
	resumes++;
}

static int on_match(const char *theirs, void *arg)
{
	(void)arg;
	return strcmp(theirs, "version 7") ? -EINVAL : 0;
}

static int on_take(const void *bytes, uint64_t sz, void *arg)
{
	(void)arg;
	takes++;
	is_same = sz == state_sz && !memcmp(bytes, state_bytes, sz);
	return take_ret;
}

static int on_run(void *arg)
{
	(void)arg;
	runs++;
	return run_ret;
}

/* Both ends, and a thread that carries bytes between them, like the
 * connection. */
static struct api_live_send *away;
static struct api_live_recv *home;
static const struct pt_live_guest *guest;
static const struct pt_receive_guest *host;
static int fds[2] = { -1, -1 };
static pthread_t carrier;
static struct pt_error err;

static void *carry(void *arg)
{
	struct pollfd polled[2] = { { fds[0], POLLIN, 0 },
				    { fds[1], POLLIN, 0 } };
	char some[65536];

	while (poll(polled, 2, -1) > 0)
		for (int i = 0; i < 2; i++) {
			ssize_t sz;

			if (!polled[i].revents)
				continue;
			sz = recv(fds[i], some, sizeof(some), MSG_DONTWAIT);
			if (sz <= 0)
				return arg;
			for (ssize_t at = 0; at < sz; ) {
				ssize_t put = send(fds[!i], some + at, sz - at,
						   MSG_NOSIGNAL);

				if (put < 0 && errno == EAGAIN)
					poll(&(struct pollfd){ fds[!i], POLLOUT,
							       0 }, 1, -1);
				else if (put < 0)
					return arg;
				else
					at += put;
			}
		}
	return arg;
}

static int both_open(void **state)
{
	const struct pt_live_send to = {
		.sz = sizeof(to), .description = "version 7",
		.pause = on_pause, .state = on_state, .resume = on_resume,
	};
	const struct pt_live_recv from = {
		.sz = sizeof(from), .match = on_match, .state = on_take,
		.run = on_run,
	};

	(void)state;
	pause_ret = state_ret = take_ret = run_ret = 0;
	pauses = resumes = takes = runs = 0;
	is_same = false;
	state_sz = STATE_SZ;
	for (size_t i = 0; i < sizeof(state_bytes); i++)
		state_bytes[i] = (char)(i * 31 >> 3);
	assert_int_equal(api_live_send_open(&away, &to, &table, 1, NULL), 0);
	assert_int_equal(api_live_recv_open(&home, &from, NULL), 0);
	guest = &api_live_send_cfg(away)->guest;
	host = api_live_recv_guest(home);
	assert_int_equal(guest->begin(guest->arg, &fds[0], &err), 0);
	assert_int_equal(host->begin(host->arg, &fds[1], &err), 0);
	assert_int_equal(pthread_create(&carrier, NULL, carry, NULL), 0);
	return 0;
}

static int both_close(void **state)
{
	(void)state;
	shutdown(fds[0], SHUT_RDWR);
	shutdown(fds[1], SHUT_RDWR);
	pthread_join(carrier, NULL);
	close(fds[0]);
	close(fds[1]);
	api_live_recv_close(home);
	api_live_send_close(away);
	return 0;
}

static int hand_over(void)
{
	int ret;

	do
		ret = guest->hand_over(guest->arg, 100, &err);
	while (ret == -ETIMEDOUT);
	return ret;
}

static void moves(void **state)
{
	(void)state;
	assert_int_equal(guest->stop(guest->arg, 100, &err), 0);
	assert_int_equal(pauses, 1);
	assert_int_equal(hand_over(), 0);
	assert_int_equal(takes, 1);
	assert_true(is_same);
	assert_int_equal(runs, 0);	/* before COMMIT */
	assert_int_equal(host->loaded(host->arg, &err), 0);
	assert_int_equal(runs, 1);
	assert_int_equal(resumes, 0);
}

static void empty_state(void **state)
{
	(void)state;
	state_sz = 0;
	assert_int_equal(guest->stop(guest->arg, 100, &err), 0);
	assert_int_equal(hand_over(), 0);
	assert_int_equal(takes, 1);
	assert_true(is_same);
}

static void refused_state(void **state)
{
	(void)state;
	take_ret = -EBADMSG;
	assert_int_equal(guest->stop(guest->arg, 100, &err), 0);
	assert_int_equal(hand_over(), -EREMOTEIO);
	assert_non_null(strstr(err.text, "did not take the state"));
	assert_int_equal(host->loaded(host->arg, &err), -EPROTO);
	assert_int_equal(runs, 0);
	assert_int_equal(guest->resume(guest->arg, &err), 0);
	assert_int_equal(resumes, 1);
}

static void no_commit_without_state(void **state)
{
	(void)state;
	assert_int_equal(host->loaded(host->arg, &err), -EPROTO);
	assert_int_equal(runs, 0);
}

static void failures_of_the_program(void **state)
{
	(void)state;
	assert_int_equal(guest->resume(guest->arg, &err), 0);
	assert_int_equal(resumes, 0);	/* it was not paused */
	pause_ret = -EBUSY;
	assert_int_equal(guest->stop(guest->arg, 100, &err), -EBUSY);
	assert_non_null(strstr(err.text, "does not pause"));
	state_ret = -ENODATA;
	assert_int_equal(hand_over(), -ENODATA);
	state_ret = 0;
	state_sz = PT_LIVE_STATE_SZ_MAX + 1ULL;
	assert_int_equal(hand_over(), -EFBIG);
	assert_int_equal(guest->resume(guest->arg, &err), 0);
	assert_int_equal(resumes, 1);
	assert_int_equal(takes, 0);
}

/* A program that waited in vain is not asked again. */
static void time_is_up_in_the_program(void **state)
{
	(void)state;
	pause_ret = state_ret = -ETIMEDOUT;
	assert_int_equal(guest->stop(guest->arg, 100, &err), -ETIME);
	assert_non_null(strstr(err.text, strerror(ETIMEDOUT)));
	assert_int_equal(guest->hand_over(guest->arg, 100, &err), -ETIME);
	assert_non_null(strstr(err.text, "does not give its state"));
}

static void does_not_run(void **state)
{
	(void)state;
	run_ret = -ENODEV;
	assert_int_equal(guest->stop(guest->arg, 100, &err), 0);
	assert_int_equal(hand_over(), 0);
	assert_int_equal(host->loaded(host->arg, &err), -ENODEV);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, "does not run"));
}

static void arrives_once(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(host->begin(host->arg, &fd, &err), -EPROTO);
}

static void descriptions(void **state)
{
	const char *ours = api_live_send_cfg(away)->description;

	(void)state;
	assert_int_equal(host->match(host->arg, ours, &err), 0);
	assert_int_equal(host->match(host->arg, API_LIVE_PREFIX "version 8",
				     &err), -EINVAL);
	assert_int_equal(host->match(host->arg, "version 7", &err), -EPROTO);
	assert_int_equal(host->match(host->arg, "{\"machine\":1}", &err),
			 -EPROTO);
}

static __u32 throttled;
static int throttle_ret;

static int on_throttle(uint32_t percent, void *arg)
{
	assert_ptr_equal(arg, &throttled);
	throttled = percent;
	return throttle_ret;
}

static int never_paused(void *arg)
{
	(void)arg;
	return -EIO;
}

/* Deadline and throttle are those of the options, and none by default. */
static void limits(void **state)
{
	const struct pt_live_send slow = {
		.sz = sizeof(slow), .pause = never_paused, .deadline = 7,
		.throttle = on_throttle, .arg = &throttled,
	};
	const struct pt_send_live_cfg *live = api_live_send_cfg(away);
	const struct pt_region table = { .sz = 4096 };
	struct api_live_send *other;

	(void)state;
	assert_int_equal(live->converge.deadline_ns, 0);
	assert_int_equal(live->converge.otherwise, PT_NO_CONVERGE_CANCEL);
	assert_null(live->guest.throttle);
	assert_null(live->guest.changed);
	assert_int_equal(api_live_send_open(&other, &slow, &table, 1, NULL), 0);
	live = api_live_send_cfg(other);
	assert_int_equal(live->converge.deadline_ns, 7000000000ULL);
	assert_int_equal(live->converge.otherwise, PT_NO_CONVERGE_THROTTLE);
	assert_int_equal(live->guest.throttle(live->guest.arg, 30, &err), 0);
	assert_int_equal(throttled, 30);
	throttle_ret = -EPERM;
	assert_int_equal(live->guest.throttle(live->guest.arg, 0, &err), -EPERM);
	assert_string_equal(err.text, "the program does not slow down: Operation "
			    "not permitted");
	api_live_send_close(other);
}

/* A sender that announces more than is allowed. */
static void too_much(void **state)
{
	static const __u8 head[8] = { 0, 0, 0, 0, 0x04 };

	(void)state;
	state_sz = 0;
	assert_int_equal(send(fds[1], head, sizeof(head), 0), sizeof(head));
	assert_int_equal(hand_over(), -EREMOTEIO);
	assert_int_equal(takes, 0);
	assert_int_equal(host->loaded(host->arg, &err), -EPROTO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, both_open, both_close)
	const struct CMUnitTest tests[] = {
		TEST(moves),
		TEST(empty_state),
		TEST(refused_state),
		TEST(no_commit_without_state),
		TEST(failures_of_the_program),
		TEST(time_is_up_in_the_program),
		TEST(does_not_run),
		TEST(arrives_once),
		TEST(descriptions),
		TEST(limits),
		TEST(too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
