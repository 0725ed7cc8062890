// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A scribe and a pipe that is read, that is full, or whose reader has gone.
 * Its callers never wait; texts that fit are written whole and in order; the
 * others are counted, and the count is written in their place. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include <pagetrim/clock.h>
#include "cli/scribe.h"

#define LONG_MS		60000
#define LINE_SZ		1000

static struct pt_scribe *scribe;
static int fds[2];	/* a pipe: the scribe writes fds[1] */
static char got[2 * PT_SCRIBE_SZ];
static size_t got_sz;

static int note(char *line, size_t sz, __u64 dropped_cnt)
{
	return snprintf(line, sz, "<%llu dropped>\n",
			(unsigned long long)dropped_cnt);
}

static int set_up(void **state)
{
	struct pt_scribe_cfg cfg = { .note = note };

	(void)state;
	got_sz = 0;
	memset(got, 0, sizeof(got));
	signal(SIGPIPE, SIG_IGN);
	if (pipe2(fds, O_CLOEXEC))
		return -1;
	cfg.note_fd = fds[1];
	return pt_scribe_open(&scribe, &cfg);
}

static int tear_down(void **state)
{
	(void)state;
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void fill(void)
{
	static const char bytes[4096] = "";

	assert_false(fcntl(fds[1], F_SETFL, O_NONBLOCK));
	while (write(fds[1], bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_false(fcntl(fds[1], F_SETFL, 0));
}

/* line_of: "NNNN defgh...\n", no two alike at any place. */
static void line_of(unsigned int number, char line[LINE_SZ])
{
	for (unsigned int i = 5; i < LINE_SZ; i++)
		line[i] = 'a' + (number + i) % 26;
	line[snprintf(line, LINE_SZ, "%04u", number)] = ' ';
	line[LINE_SZ - 1] = '\n';
}

static void put_line(unsigned int number)
{
	char line[LINE_SZ];

	line_of(number, line);
	pt_scribe_put(scribe, fds[1], line, LINE_SZ);
}

static bool is_line(const char *at, unsigned int number)
{
	char line[LINE_SZ];

	line_of(number, line);
	return !memcmp(at, line, LINE_SZ);
}

/* read_some returns the pipe's content, without the zeros of fill. */
static void read_some(void)
{
	char bytes[65536];
	ssize_t sz = read(fds[0], bytes, sizeof(bytes));

	assert_true(sz >= 0);
	for (ssize_t i = 0; i < sz; i++)
		if (bytes[i]) {
			assert_true(got_sz < sizeof(got) - 1);
			got[got_sz++] = bytes[i];
		}
}

static void read_until_idle(void)
{
	int left;

	do {
		left = 0;
		assert_false(ioctl(fds[0], FIONREAD, &left));
		if (left)
			read_some();
	} while (left || !pt_scribe_wait(scribe, 1) ||
		 (!ioctl(fds[0], FIONREAD, &left) && left));
}

/* Several times around the ring, which is never empty in between. */
static void test_in_order(void **state)
{
	unsigned int put_cnt = 0, read_cnt = 0;

	(void)state;
	while (put_cnt < 4000) {
		while (put_cnt < read_cnt + 400)
			put_line(put_cnt++);
		read_some();
		for (; got_sz >= LINE_SZ; read_cnt++) {
			assert_true(is_line(got, read_cnt));
			got_sz -= LINE_SZ;
			memmove(got, got + LINE_SZ, got_sz);
		}
	}
	read_until_idle();
	assert_int_equal(got_sz, (put_cnt - read_cnt) * LINE_SZ);
	for (size_t at = 0; at < got_sz; at += LINE_SZ)
		assert_true(is_line(got + at, read_cnt++));
	assert_true(pt_scribe_close(scribe, LONG_MS));
}

static void test_full(void **state)
{
	unsigned int put_cnt = 2 * PT_SCRIBE_SZ / LINE_SZ;
	unsigned int kept, dropped = 0;
	const char *at;

	(void)state;
	fill();
	for (unsigned int i = 0; i < put_cnt; i++)
		put_line(i);
	assert_false(pt_scribe_is_idle(scribe));
	assert_false(pt_scribe_wait(scribe, 1));
	read_until_idle();
	kept = got_sz / LINE_SZ;
	assert_int_equal(got_sz % LINE_SZ, 0);
	/* The ring was full, less one line. */
	assert_true(kept >= PT_SCRIBE_SZ / (LINE_SZ + 8) - 1);
	for (unsigned int i = 0; i < kept; i++)
		assert_true(is_line(got + i * LINE_SZ, i));

	put_line(7777);
	read_until_idle();
	at = got + kept * LINE_SZ;
	assert_int_equal(sscanf(at, "<%u dropped>\n7777 ", &dropped), 1);
	assert_int_equal(kept + dropped, put_cnt);
	assert_non_null(strstr(at, "\n7777 "));
	assert_true(pt_scribe_close(scribe, LONG_MS));
}

static void *read_all(void *arg)
{
	(void)arg;
	while (!strstr(got, "dropped>\n"))
		read_some();
	return NULL;
}

static void test_note_at_close(void **state)
{
	pthread_t reader;

	(void)state;
	fill();
	for (unsigned int i = 0; i < 2 * PT_SCRIBE_SZ / LINE_SZ; i++)
		put_line(i);
	assert_false(pthread_create(&reader, NULL, read_all, NULL));
	assert_true(pt_scribe_close(scribe, LONG_MS));
	pthread_join(reader, NULL);
	assert_non_null(strstr(got, "dropped>\n"));
}

/* The largest text that fits has its head beside it in the ring. */
static void test_too_large(void **state)
{
	const size_t most_sz = PT_SCRIBE_SZ - 8;
	char *text = calloc(1, PT_SCRIBE_SZ + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'y', PT_SCRIBE_SZ);
	pt_scribe_put(scribe, fds[1], text, most_sz);
	read_until_idle();
	assert_int_equal(got_sz, most_sz);
	got_sz = 0;
	memset(got, 0, sizeof(got));
	pt_scribe_put(scribe, fds[1], text, most_sz + 1);
	pt_scribe_put(scribe, fds[1], text, PT_SCRIBE_SZ + 1);
	pt_scribe_put(scribe, fds[1], "z\n", 2);
	free(text);
	read_until_idle();
	assert_string_equal(got, "<2 dropped>\nz\n");
	assert_true(pt_scribe_close(scribe, LONG_MS));
}

/* The thread stays in write until the pipe is read, and then ends. */
static void test_given_up(void **state)
{
	__u64 begun = pt_clock_ns();

	(void)state;
	fill();
	put_line(0);
	assert_false(pt_scribe_close(scribe, 50));
	assert_true(pt_clock_ns() - begun >= 50000000);
	while (got_sz < LINE_SZ)
		read_some();
	assert_int_equal(got_sz, LINE_SZ);
}

static void test_no_reader(void **state)
{
	int zero = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int held = dup(STDOUT_FILENO);

	(void)state;
	assert_true(zero >= 0 && held >= 0);
	assert_int_equal(pt_scribe_failure(scribe, STDOUT_FILENO), 0);
	fflush(stdout);
	dup2(zero, STDOUT_FILENO);
	pt_scribe_put(scribe, STDOUT_FILENO, "lost\n", 5);
	pt_scribe_wait(scribe, LONG_MS);
	dup2(held, STDOUT_FILENO);
	close(zero);
	close(held);
	assert_int_equal(pt_scribe_failure(scribe, STDOUT_FILENO), ENOSPC);
	assert_int_equal(pt_scribe_failure(scribe, STDERR_FILENO), 0);
	pt_scribe_put(scribe, fds[1], "goes on\n", 8);
	read_until_idle();
	assert_string_equal(got, "goes on\n");
	close(fds[0]);
	pt_scribe_put(scribe, fds[1], "nobody reads\n", 13);
	assert_true(pt_scribe_close(scribe, LONG_MS));
}

/* A descriptor that another process made non-blocking loses no text. */
static void test_nonblocking(void **state)
{
	(void)state;
	assert_false(fcntl(fds[1], F_SETFL, O_NONBLOCK));
	for (unsigned int i = 0; i < 300; i++)
		put_line(i);
	read_until_idle();
	assert_int_equal(got_sz, 300 * LINE_SZ);
	assert_true(pt_scribe_close(scribe, LONG_MS));
}

static void *put_many(void *arg)
{
	for (unsigned int i = 0; i < 100; i++)
		put_line(*(unsigned int *)arg * 1000 + i);
	return NULL;
}

static void test_threads(void **state)
{
	unsigned int next[4] = { 0 }, ids[4] = { 0, 1, 2, 3 };
	pthread_t threads[4];
	unsigned int number;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_false(pthread_create(&threads[i], NULL, put_many,
					    &ids[i]));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	read_until_idle();
	assert_int_equal(got_sz, 400 * LINE_SZ);
	for (int i = 0; i < 400; i++) {
		number = atoi(got + i * LINE_SZ);
		assert_true(number / 1000 < 4);
		assert_int_equal(number % 1000, next[number / 1000]++);
	}
	assert_true(pt_scribe_close(scribe, LONG_MS));
}

/* The scribe's thread takes no signal; its opener keeps its own mask. */
static void test_signals(void **state)
{
	sigset_t usr1, before, now;
	int heard;

	(void)state;
	put_line(0);	/* written: the thread runs, with its own mask */
	read_until_idle();
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	assert_false(sigismember(&now, SIGUSR1));
	pthread_sigmask(SIG_BLOCK, &usr1, &before);
	/* A thread that did not block it would end the process. */
	kill(getpid(), SIGUSR1);
	assert_false(sigwait(&usr1, &heard));
	assert_int_equal(heard, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	assert_true(pt_scribe_close(scribe, LONG_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		T(test_in_order), T(test_full), T(test_note_at_close),
		T(test_too_large), T(test_given_up), T(test_no_reader),
		T(test_nonblocking), T(test_threads), T(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
