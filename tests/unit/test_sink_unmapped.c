// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* An image on a file system without shared mappings, as FUSE with direct_io: a
 * seccomp filter refuses them as the kernel does there. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "kept_kit.h"
#include "sink/sink_ops.h"

/* filter_maps: mmap(2) of a descriptor that is shared ends with ENODEV. */
static void filter_maps(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENODEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog),
			 0);
}

static void assert_bytes(const struct pt_sink *s, __u64 off, __u8 want)
{
	struct pt_error err = { 0 };
	__u8 buffer[PAGE];
	const __u8 *page = pt_sink_see(s, off, buffer, &err);

	assert_non_null(page);
	assert_int_equal(page[0], want);
	assert_int_equal(page[PAGE - 1], want);
}

static int on_disk(void **state)
{
	if (out_begin(state))
		return -1;
	return system("rm -f " SCRATCH "/disk; truncate -s 32M " SCRATCH "/disk"
		      " && mkfs.ext4 -q -F " SCRATCH "/disk && mount -o loop "
		      SCRATCH "/disk " DIR_OUT);
}

static int off_disk(void **state)
{
	(void)state;
	return system("umount " DIR_OUT);
}

static void test_written_by_call(void **state)
{
	__u8 bytes[PAGE];
	struct iovec piece = { bytes, PAGE };
	struct pt_error err = { 0 };
	struct pt_sink *s = make();

	(void)state;
	memset(bytes, 7, sizeof(bytes));
	assert_true(pt_sink_may_wait(s));
	assert_int_equal(s->ops->place(s, PAGE, &piece, 1, PAGE, &err), 0);
	assert_bytes(s, 0, 0);
	assert_bytes(s, PAGE, 7);
	assert_int_equal(pt_sink_zero(s, PAGE, PAGE, &err), 0);
	assert_bytes(s, PAGE, 0);
	piece = (struct iovec){ bytes, PAGE };
	assert_int_equal(s->ops->place(s, 2 * PAGE, &piece, 1, PAGE, &err), 0);
	assert_false(pt_sink_fault(s, bytes, &err));
	assert_int_equal(pt_sink_sync(s, &err), 0);
	assert_int_equal(pt_sink_commit(s, &err), 0);
	assert_bytes(s, 2 * PAGE, 7);
	pt_sink_close(s);
}

static void test_prealloc_is_refused(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s;

	(void)state;
	assert_int_equal(pt_image_reserve(&s, OUT, 1 << 20, -1, &err), -ENODEV);
	assert_non_null(strstr(err.text, "no shared mappings"));
	assert_false(scratch_has(PARTIAL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written_by_call, on_disk,
						off_disk),
		cmocka_unit_test_setup_teardown(test_prealloc_is_refused,
						on_disk, off_disk),
	};

	if (kept_start())
		return 1;
	filter_maps();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
