// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Sinks on full, read-only and huge file systems, and receivers killed at
 * every step. */
#include "sink/image.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "guard_again.h"
#include "scratch.h"

#define PAGE 4096u
#define REGION (2u << 20)

static struct pt_layout *layout_of(__u64 sz, __u32 cnt)
{
	struct pt_segment segs[2] = { { "a", 0, sz }, { "b", 1 << 20, sz } };
	struct pt_layout *l = NULL;

	assert_int_equal(pt_layout_create(&l, segs, cnt, NULL), 0);
	return l;
}

static void test_disk_full(void **state)
{
	struct pt_layout *l = layout_of(1000 * PAGE, 1);
	struct pt_error err = { 0 };
	struct pt_guard guard;
	struct pt_sink *s;
	volatile __u32 page;

	(void)state;
	guard_again();
	scratch_fs("small", "tmpfs", 0, "size=256k");
	assert_int_equal(pt_image_create(&s, SCRATCH "/small/ram", l, &err), 0);
	if (pt_guard_enter(&guard)) {
		assert_in_range(page, 1, 64);
		assert_int_equal(pt_sink_fault(s, &err, NULL), 0);
		assert_int_equal(pt_sink_fault(s, guard.addr, &err), -ENOSPC);
		assert_non_null(strstr(err.text, SCRATCH "/small/ram.partial"));
		assert_non_null(strstr(err.text, "tmpfs on " SCRATCH "/small"));
		assert_int_equal(err.exit, PT_EXIT_HOST);
		/* A small file fails in the same way. */
		assert_int_equal(pt_sink_file_begin(s, "f", PAGE, &err), 0);
		assert_int_equal(pt_sink_file_write(s, (void *)test_disk_full,
						    PAGE, &err), -ENOSPC);
		assert_non_null(strstr(err.text, "free some space"));
		pt_sink_close(s);
		assert_false(scratch_has(SCRATCH "/small/ram.partial"));
		assert_false(scratch_has(SCRATCH "/small/ram.with.partial"));
		umount(SCRATCH "/small");
		pt_layout_free(l);
		return;
	}
	for (page = 0; page < 1000; page++)
		pt_image_page(s, page)[0] = 1;
	fail_msg("4 MB went into 256 KiB");
}

static void test_cut_short_by_another(void **state)
{
	struct pt_layout *l = layout_of(10 * PAGE, 1);
	struct pt_error err = { 0 };
	struct pt_guard guard;
	struct pt_sink *s;

	(void)state;
	guard_again();
	assert_int_equal(pt_image_create(&s, SCRATCH "/ram", l, &err), 0);
	assert_int_equal(truncate(SCRATCH "/ram.partial", PAGE), 0);
	if (pt_guard_enter(&guard)) {
		assert_int_equal(pt_sink_fault(s, guard.addr, &err), -EIO);
		assert_non_null(strstr(err.text, "cut it short"));
		pt_sink_close(s);
		pt_layout_free(l);
		return;
	}
	pt_image_page(s, 5)[0] = 1;
	fail_msg("no SIGBUS");
}

static void test_no_inode_left(void **state)
{
	struct pt_layout *l = layout_of(PAGE, 1);
	struct pt_error err = { 0 };
	struct pt_sink *s;

	(void)state;
	scratch_fs("few", "tmpfs", 0, "nr_inodes=2");	/* the root is one */
	close(scratch_file(SCRATCH "/few/other", 0));
	assert_int_equal(pt_image_create(&s, SCRATCH "/few/ram", l, &err),
			 -ENOSPC);
	assert_non_null(strstr(err.text, "cannot create its .partial: No space"));
	umount(SCRATCH "/few");
	pt_layout_free(l);
}

static void test_read_only(void **state)
{
	struct pt_layout *l = layout_of(PAGE, 1);
	struct pt_error err = { 0 };
	struct pt_sink *s;

	(void)state;
	scratch_fs("ro", "tmpfs", MS_RDONLY, NULL);
	assert_int_equal(pt_image_create(&s, SCRATCH "/ro/ram", l, &err),
			 -EROFS);
	assert_non_null(strstr(err.text, SCRATCH "/ro/ram: "));
	assert_non_null(strstr(err.text, "Read-only file system"));
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_int_equal(pt_image_check_folder(SCRATCH "/ro", &err), -EROFS);
	assert_string_equal(err.text, SCRATCH "/ro: Read-only file system (name a "
			    "file system that can be written)");
	umount(SCRATCH "/ro");
	pt_layout_free(l);
}

static void test_not_permitted(void **state)
{
	struct pt_layout *l = layout_of(PAGE, 1);
	struct pt_error err = { 0 };
	struct pt_sink *s;

	(void)state;
	assert_int_equal(chmod(SCRATCH, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(pt_image_create(&s, SCRATCH "/ram", l, &err), -EACCES);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(err.text, "Permission denied"));
	pt_layout_free(l);
}

static void test_too_large(void **state)
{
	struct rlimit old, small = { 8 * PAGE, RLIM_INFINITY };
	struct pt_layout *l = layout_of(9 * PAGE, 1);
	struct pt_error err = { 0 };
	struct pt_sink *s;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(pt_image_create(&s, SCRATCH "/ram", l, &err), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_non_null(strstr(err.text, "raise ulimit -f"));
	assert_false(scratch_has(SCRATCH "/ram.partial"));
	pt_layout_free(l);
}

static void test_hugetlbfs(void **state)
{
	struct pt_layout *odd = layout_of(REGION + PAGE, 1);
	struct pt_layout *vast = layout_of(1ULL << 46, 1);
	struct pt_layout *fits = layout_of(2 * REGION, 1);
	static const char path[] = SCRATCH "/huge/ram";
	struct pt_error err = { 0 };
	struct pt_sink *s;
	__u8 byte;
	int fd;

	(void)state;
	scratch_fs("huge", "hugetlbfs", 0, "pagesize=2M");
	assert_int_equal(pt_image_create(&s, path, odd, &err), -EINVAL);
	assert_non_null(strstr(err.text, "whole pages of 2048 KiB"));
	assert_int_equal(pt_image_create(&s, path, vast, &err), -ENOMEM);
	assert_non_null(strstr(err.text, "fewer huge pages are free than the "
			       "33554432 of 2048 KiB"));
	assert_non_null(strstr(err.text, "hugepages-2048kB/nr_hugepages"));
	assert_false(scratch_has(SCRATCH "/huge/ram.partial"));

	if (scratch_huge(2)) {
		assert_int_equal(pt_image_create(&s, path, fits, &err), 0);
		pt_image_page(s, 513)[3] = 'h';
		assert_int_equal(pt_sink_sync(s, &err), 0);
		assert_int_equal(pt_sink_commit(s, &err), 0);
		pt_sink_close(s);
		fd = open(path, O_RDONLY);
		assert_int_equal(pread(fd, &byte, 1, 513 * PAGE + 3), 1);
		assert_int_equal(byte, 'h');
		close(fd);
		unlink(path);
		scratch_huge(-2);
	} else {
		print_message("hugetlbfs: this machine gives no huge pages: "
			      "errors tested, not the content\n");
	}
	umount(SCRATCH "/huge");
	pt_layout_free(odd);
	pt_layout_free(vast);
	pt_layout_free(fits);
}

/* --- killed ---------------------------------------------------------- */

#define OUT SCRATCH "/kill/ram"

/* receive takes a receiver's steps, in a child. */
static void receive(const struct pt_layout *l)
{
	struct pt_sink *s;

	if (pt_image_create(&s, OUT, l, NULL))
		_exit(1);
	pt_image_page(s, 0)[0] = 'k';
	if (pt_sink_file_begin(s, "f", 1, NULL) ||
	    pt_sink_file_write(s, "x", 1, NULL) || pt_sink_sync(s, NULL) ||
	    pt_sink_commit(s, NULL))
		_exit(2);
	_exit(0);
}

/* killed_at runs receive and kills it as it enters its Nth system call; false:
 * it ended before. */
static bool killed_at(const struct pt_layout *l, int n)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		receive(l);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 2 * n - 1; i++) {	/* entry and exit of each */
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return true;
}

/* At any moment: either NAME exists and all its files are whole, or it does
 * not, and the next receiver succeeds. */
static void test_killed_at_each_system_call(void **state)
{
	struct pt_layout *l = layout_of(2 * PAGE + 1, 2);
	int whole = 0, half = 0, with_only = 0, n;
	bool was_killed = true;

	(void)state;
	for (n = 1; was_killed; n++) {
		struct stat st;

		assert_true(n < 500);
		assert_int_equal(system("rm -rf " SCRATCH "/kill && mkdir "
					SCRATCH "/kill"), 0);
		was_killed = killed_at(l, n);
		if (scratch_has(OUT)) {
			whole++;
			assert_false(scratch_has(OUT ".partial"));
			assert_int_equal(stat(OUT, &st), 0);
			assert_int_equal(st.st_size, 5 * PAGE + 1);
			assert_int_equal(stat(OUT ".with/f", &st), 0);
			assert_int_equal(st.st_size, 1);
			assert_true(scratch_has(OUT ".with/segments.json"));
			continue;
		}
		half++;
		with_only += scratch_has(OUT ".with");
		assert_false(killed_at(l, 400));	/* runs to its end */
		assert_true(scratch_has(OUT));
		assert_true(scratch_has(OUT ".with/f"));
		assert_false(scratch_has(OUT ".partial"));
		assert_false(scratch_has(OUT ".with.partial"));
	}
	/* The test hit both sides of the commit, and its middle. */
	print_message("killed at %d system calls, %d before the commit\n", n,
		      half);
	assert_true(half > 20 && whole > 2);
	assert_int_equal(with_only, 1);
	pt_layout_free(l);
}

/* Several receivers for one name at once: one gets it, the others are refused,
 * and no two write the same file. */
static void test_race_for_one_name(void **state)
{
	struct pt_layout *l = layout_of(PAGE, 1);
	struct pt_sink *s;
	int won, lost, status;

	(void)state;
	assert_int_equal(system("rm -rf " SCRATCH "/kill && mkdir " SCRATCH
				"/kill"), 0);
	for (int round = 0; round < 50; round++) {
		int gate[2];
		char byte;

		close(scratch_left(OUT ".partial", 9));	/* a stale one */
		assert_int_equal(pipe(gate), 0);
		for (int i = 0; i < 4; i++) {
			if (fork())
				continue;
			close(gate[1]);
			if (read(gate[0], &byte, 1))
				_exit(2);
			status = pt_image_create(&s, OUT, l, NULL);
			if (status)
				_exit(status == -EBUSY || status == -EEXIST ?
				      1 : 3);
			usleep(2000);
			_exit(pt_sink_sync(s, NULL) || pt_sink_commit(s, NULL) ?
			      4 : 0);
		}
		close(gate[0]);
		close(gate[1]);		/* and they run */
		won = lost = 0;
		for (int i = 0; i < 4; i++) {
			assert_true(wait(&status) > 0);
			assert_true(WIFEXITED(status));
			assert_in_range(WEXITSTATUS(status), 0, 1);
			won += !WEXITSTATUS(status);
			lost += WEXITSTATUS(status);
		}
		assert_int_equal(won, 1);
		assert_int_equal(lost, 3);
		assert_int_equal(unlink(OUT), 0);
		assert_false(scratch_has(OUT ".partial"));
	}
	pt_layout_free(l);
}

/* A receiver has checked a stale .partial, but not locked it yet, when another
 * one replaces it: it must not remove the new one. */
static void test_stale_one_replaced_by_another(void **state)
{
	struct pt_layout *l = layout_of(PAGE, 1);
	struct __ptrace_syscall_info info;
	struct pt_sink *s;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(system("rm -rf " SCRATCH "/kill && mkdir " SCRATCH
				"/kill"), 0);
	close(scratch_left(OUT ".partial", 9));
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(-pt_image_create(&s, OUT, l, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, 0,
				PTRACE_O_TRACESYSGOOD), 0);
	do {		/* up to its first flock(2), that of the stale file */
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status));
		assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info),
				   &info) > 0);
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY ||
		 info.entry.nr != SYS_flock);
	assert_int_equal(pt_image_create(&s, OUT, l, NULL), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EBUSY);
	assert_true(scratch_has(OUT ".partial"));
	assert_int_equal(pt_sink_sync(s, NULL), 0);
	assert_int_equal(pt_sink_commit(s, NULL), 0);
	pt_sink_close(s);
	pt_layout_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_cut_short_by_another),
		cmocka_unit_test(test_no_inode_left),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_not_permitted),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_hugetlbfs),
		cmocka_unit_test(test_killed_at_each_system_call),
		cmocka_unit_test(test_race_for_one_name),
		cmocka_unit_test(test_stale_one_replaced_by_another),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
