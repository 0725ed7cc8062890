// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The keeper's fault timeout: a process is ended for a fault that waits, and for no
 * other reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "lazy/keeper.h"

#define TIMEOUT_MS	300
#define SECOND_NS	1000000000ULL

static char folder[] = "/tmp/pagetrim-keeper.XXXXXX";
static struct pt_lazy_kept kept;
static struct pt_lazy_record *record;
static int uffd_end;
static pid_t vmm;

/* hand_over sends a descriptor to the door, as a VMM does. */
static void hand_over(const char *door, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct iovec part = { .iov_base = "[]", .iov_len = 2 };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	strcpy(at.sun_path, door);
	if (connect(to, (struct sockaddr *)&at, sizeof(at)) || sendmsg(to, &m, 0) != 2)
		_exit(1);
	pause();
	_exit(0);
}

static void on_nothing(void *arg)
{
	(void)arg;
	fail_msg("a connection without a message");
}

/* begin starts a keeper of a process that only waits.  A pipe is its userfaultfd: it
 * has an event to be read as long as it is not empty. */
static int begin(void **state)
{
	char door[64];
	const struct pt_lazy_keeper_cfg cfg = {
		.door = door, .has_door = true, .page_max = 1, .image_id = "id",
	};
	struct pt_error err;
	bool started;
	int ends[2];

	(void)state;
	snprintf(door, sizeof(door), "%s/door", folder);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(pt_lazy_keeper_meet(&kept, &cfg, &started, &err), 0);
	assert_true(started);
	assert_int_equal(pt_lazy_record_open(&record, kept.record_fd, "id", &err), 0);
	vmm = fork();
	if (!vmm)
		hand_over(door, ends[0]);
	assert_int_equal(pt_lazy_keeper_await(&kept, -1, on_nothing, NULL, &err), 0);
	assert_int_equal(kept.handed.pid, vmm);
	assert_true(kept.handed.pidfd >= 0);
	assert_int_equal(record->message_sz, 2);
	close(ends[0]);
	uffd_end = ends[1];
	pt_lazy_keeper_timeout(&kept, TIMEOUT_MS);
	return 0;
}

static int end(void **state)
{
	(void)state;
	kill(vmm, SIGKILL);
	waitpid(vmm, NULL, 0);
	pt_lazy_keeper_part(&kept, PT_LAZY_PART_END);
	pt_lazy_kept_close(&kept);
	pt_lazy_record_close(record);
	close(uffd_end);
	return 0;
}

static bool ended_in(int ms)
{
	struct pollfd fd = { .fd = kept.handed.pidfd, .events = POLLIN };

	return poll(&fd, 1, ms) > 0;
}

/* The server may store a time right after the keeper took its own. */
static void test_later_than_now(void **state)
{
	(void)state;
	__atomic_store_n(&record->waits_since_ns, pt_clock_ns() + 3600 * SECOND_NS,
			 __ATOMIC_RELAXED);
	assert_false(ended_in(4 * TIMEOUT_MS));
	__atomic_store_n(&record->waits_since_ns, pt_clock_ns() - SECOND_NS,
			 __ATOMIC_RELAXED);
	assert_true(ended_in(10000));
}

/* Some event is unread whenever the keeper looks, and each is read soon. */
static void test_busy(void **state)
{
	(void)state;
	assert_int_equal(write(uffd_end, "x", 1), 1);
	for (int i = 0; i < 100; i++) {
		__atomic_fetch_add(&record->read_cnt, 1, __ATOMIC_RELAXED);
		assert_false(ended_in(TIMEOUT_MS / 30));
	}
	assert_true(ended_in(10000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_later_than_now, begin, end),
		cmocka_unit_test_setup_teardown(test_busy, begin, end),
	};
	int failed;

	if (!mkdtemp(folder))
		return 2;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (rmdir(folder)) {	/* the keepers removed all names */
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		failed++;
	}
	return failed;
}
