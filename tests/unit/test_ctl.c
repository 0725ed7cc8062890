// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ctl_kit.h"

#include <pthread.h>
#include <sys/wait.h>

#define NOBODY	65534

/* --- requests -------------------------------------------------------- */

static void test_requests(void **state)
{
	int one = dial(PATH), two = dial(PATH);

	(void)state;
	assert_int_equal(take(), 0);
	type(one, "status\n");
	assert_int_equal(take(), 1);
	hears(one, "status\n");
	/* In pieces, and several at once. */
	type(one, "set max");
	assert_int_equal(take(), 0);
	type(one, " 5\nsta");
	type(two, "a\nb\n\n");
	assert_int_equal(take(), 4);
	type(one, "tus\n");
	assert_int_equal(take(), 1);
	hears(one, "set max 5\nstatus\n");
	hears(two, "a\nb\n\n");
	close(one);
	close(two);
	assert_int_equal(take(), 0);
}

static void *answer_one(void *arg)
{
	struct pollfd poll_fd = {
		.fd = pt_ctl_fd(ctl), .events = POLLIN,
	};

	while (poll(&poll_fd, 1, 5000) > 0)
		if (pt_ctl_take(ctl, line)) {
			pt_ctl_answer(ctl, arg);
			return NULL;
		}
	return "never asked";
}

static void test_ask(void **state)
{
	char answer[PT_CTL_ANSWER_SZ], longest[PT_CTL_ANSWER_SZ - 1];
	struct pt_error err;
	pthread_t thread;
	void *why;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(pthread_create(&thread, NULL, answer_one, longest), 0);
	if (pt_ctl_ask(PATH, PT_CTL_ANYBODY, "how far", answer, 5000, &err))
		fail_msg("%s", err.text);
	pthread_join(thread, &why);
	assert_null(why);
	assert_string_equal(line, "how far");
	assert_string_equal(answer, longest);
}

/* --- clients that send too much, or do not read ---------------------- */

static void test_wrong_requests(void **state)
{
	char much[PT_CTL_LINE_SZ + 1];
	int fd = dial(PATH);

	(void)state;
	memset(much, 'm', sizeof(much));
	much[PT_CTL_LINE_SZ - 1] = '\n';	/* the longest allowed */
	much[PT_CTL_LINE_SZ] = '\0';
	type(fd, much);
	assert_int_equal(take(), 1);
	hears(fd, much);
	much[PT_CTL_LINE_SZ - 1] = 'm';
	type(fd, much);
	assert_int_equal(take(), 0);
	hears(fd, "{\"error\": \"the request is too long\"}\n");
	is_dropped(fd);

	fd = dial(PATH);
	assert_int_equal(send(fd, "status\0!\n", 9, 0), 9);
	assert_int_equal(take(), 1);
	assert_string_equal(line, "status?!");
	type(fd, "half of a");
	close(fd);
	assert_int_equal(take(), 0);
}

/* A client that reads no answers is dropped, and delays no other. */
static void test_deaf(void **state)
{
	int fd = dial(PATH);
	int cnt = 0;

	(void)state;
	while (cnt < 100000 && send(fd, "status\n", 7, MSG_NOSIGNAL |
				    MSG_DONTWAIT) == 7) {
		take();
		cnt++;
	}
	assert_in_range(cnt, 10, 99999);
	close(fd);
	fd = dial(PATH);
	type(fd, "status\n");
	assert_int_equal(take(), 1);
	close(fd);
}

/* The table has four places: a new client takes that of the client that was
 * silent longest. */
static void test_crowd(void **state)
{
	int fds[PT_CTL_CLIENTS + 1];

	(void)state;
	for (int i = 0; i < PT_CTL_CLIENTS; i++) {
		fds[i] = dial(PATH);
		take();
	}
	type(fds[0], "here\n");
	assert_int_equal(take(), 1);
	fds[PT_CTL_CLIENTS] = dial(PATH);
	take();
	is_dropped(fds[1]);
	fds[1] = fds[PT_CTL_CLIENTS];
	for (int i = 0; i < PT_CTL_CLIENTS; i++)
		type(fds[i], "still\n");
	assert_int_equal(take(), PT_CTL_CLIENTS);
	for (int i = 0; i < PT_CTL_CLIENTS; i++)
		close(fds[i]);
}

/* --- permissions ------------------------------------------------------ */

/* as_nobody runs in a child: 0: answered; 1: not; 2: not even connected. */
static int as_nobody(void)
{
	char answer[PT_CTL_ANSWER_SZ];
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct pt_error err;
		int ret;

		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(3);
		ret = pt_ctl_ask(PATH, PT_CTL_ANYBODY, "status", answer, 5000, &err);
		_exit(!ret ? 0 : ret == -EACCES ? 2 : 1);
	}
	for (int i = 0; waitpid(pid, &status, WNOHANG) != pid; i++) {
		assert_true(i < 5000);
		take();
		usleep(1000);
	}
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_others(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(lstat(PATH, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(chmod(SCRATCH, 0755), 0);
	assert_int_equal(as_nobody(), 2);
	/* Whatever the socket's mode, the client's credentials are checked. */
	assert_int_equal(chmod(PATH, 0666), 0);
	assert_int_equal(as_nobody(), 1);
	assert_int_equal(chmod(SCRATCH, 0700), 0);
}

/* --- clients without an answer ---------------------------------------- */

static void unanswered(const char *path, int timeout_ms, int code,
		       const char *word)
{
	char answer[PT_CTL_ANSWER_SZ];
	struct pt_error err = { 0 };

	assert_int_equal(pt_ctl_ask(path, PT_CTL_ANYBODY, "status", answer, timeout_ms,
				    &err), code);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, word));
	assert_null(strchr(err.text, '\n'));
}

static void *babble(void *arg)
{
	char much[2 * PT_CTL_ANSWER_SZ];
	int fd = accept(*(int *)arg, NULL, NULL);

	recv(fd, much, sizeof(much), 0);	/* else the request is not even
						 * sent */
	memset(much, 'b', sizeof(much));
	send(fd, much, sizeof(much), MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

/* drip: an answer that never ends, a byte at a time. */
static void *drip(void *arg)
{
	int fd = accept(*(int *)arg, NULL, NULL);

	while (send(fd, "d", 1, MSG_NOSIGNAL) == 1)
		usleep(1000);
	close(fd);
	return NULL;
}

static void test_unanswered(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[200] = "";
	pthread_t thread;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	unanswered(path, 10, -ENAMETOOLONG, "too long");
	unanswered("", 10, -ENAMETOOLONG, "too long");
	unanswered(PATH, 10, -ENOENT, "control PATH makes it");
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	unanswered(PATH, 10, -ECONNREFUSED, "nobody listens");
	assert_int_equal(listen(fd, 1), 0);
	unanswered(PATH, 10, -ETIMEDOUT, "no answer");
	close(accept(fd, NULL, NULL));
	assert_int_equal(pthread_create(&thread, NULL, babble, &fd), 0);
	unanswered(PATH, 5000, -EPROTO, "not an answer");
	pthread_join(thread, NULL);
	assert_int_equal(pthread_create(&thread, NULL, drip, &fd), 0);
	unanswered(PATH, 100, -ETIMEDOUT, "no answer");
	pthread_join(thread, NULL);
	close(fd);
	unlink(PATH);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_ask),
		TEST(test_wrong_requests),
		TEST(test_deaf),
		TEST(test_crowd),
		TEST(test_others),
		cmocka_unit_test(test_unanswered),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
