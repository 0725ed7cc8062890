// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A child that has mapped a file privately: the pages that it wrote there are
 * found. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "scratch.h"
#include "source/private_mapper.h"

#define PAGE 4096u
#define PAGES 64
#define RAM SCRATCH "/ram"

static volatile int *is_ready;

/* child_start maps the file, and writes the first pages of the mapping. */
static pid_t child_start(int flags, __u32 written_cnt)
{
	int fd = scratch_file(RAM, PAGES * PAGE);
	pid_t pid;

	*is_ready = 0;
	pid = fork();
	if (!pid) {
		__u8 *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				flags, fd, 0);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(at, 1, written_cnt * PAGE);
		*is_ready = 1;
		for (;;)
			pause();
	}
	close(fd);
	for (int ms = 0; !*is_ready; ms++) {
		assert_true(ms < 20000);
		usleep(1000);
	}
	return pid;
}

static void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(RAM);
}

static void assert_found(pid_t pid, __u64 sz)
{
	struct pt_private_mapper found;

	pt_private_mapper_find(&found, RAM);
	assert_int_equal(found.pid, pid);
	assert_int_equal(found.own_sz, sz);
}

static void test_written_privately(void **state)
{
	pid_t pid = child_start(MAP_PRIVATE, 5);

	(void)state;
	assert_found(pid, 5 * PAGE);
	child_end(pid);
	assert_found(0, 0);		/* no file */
}

static void test_not_written(void **state)
{
	pid_t pid = child_start(MAP_PRIVATE, 0);

	(void)state;
	assert_found(0, 0);
	child_end(pid);
}

/* Written by all: the file has it. */
static void test_shared(void **state)
{
	pid_t pid = child_start(MAP_SHARED, 5);

	(void)state;
	assert_found(0, 0);
	child_end(pid);
}

static void test_a_file_with_data(void **state)
{
	pid_t pid = child_start(MAP_PRIVATE, 5);
	int fd = open(RAM, O_RDWR);

	(void)state;
	scratch_write(fd, 0, "x", 1);
	close(fd);
	assert_found(pid, 5 * PAGE);
	child_end(pid);
}

/* One of the same number in another file system is another file. */
static void test_another_file(void **state)
{
	pid_t pid = child_start(MAP_PRIVATE, 5);
	struct stat st, other;

	(void)state;
	assert_int_equal(mkdir(SCRATCH "/fs", 0700), 0);
	assert_int_equal(mount("fs", SCRATCH "/fs", "tmpfs", 0, NULL), 0);
	assert_int_equal(stat(RAM, &st), 0);
	for (int i = 0; i < 100; i++) {
		struct pt_private_mapper found;
		char path[64];

		snprintf(path, sizeof(path), SCRATCH "/fs/%d", i);
		close(scratch_file(path, PAGE));
		assert_int_equal(stat(path, &other), 0);
		pt_private_mapper_find(&found, path);
		assert_int_equal(found.pid, 0);
		if (other.st_ino == st.st_ino)
			break;
	}
	assert_int_equal(other.st_ino, st.st_ino);
	umount(SCRATCH "/fs");
	child_end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_privately),
		cmocka_unit_test(test_not_written),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_a_file_with_data),
		cmocka_unit_test(test_another_file),
	};

	is_ready = mmap(NULL, sizeof(*is_ready), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (is_ready == MAP_FAILED || scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
