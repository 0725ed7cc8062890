// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A program behind a dispatcher: whether the device still calls it.  The test
 * replaces the kernel's two answers, the device's program and the programs that
 * this one extends: a kernel without extension programs has none.
 * tests/kernel/test_dispatcher.sh has a real dispatcher. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "xdp/program_impl.h"
#include "xdp/targets.h"

#define OURS	7
#define LOOKS_MAX	8

/* The kernel's answers, one per call; the last one repeats. */
static struct answer {
	__s64	device;		/* program on it, or -errno */
	int	cnt;		/* targets of ours, or -errno */
	__u32	ids[PT_TARGETS_MAX + 1];
} answers[LOOKS_MAX];
static int queries, lists, answer_cnt;

static struct answer *answer(int idx)
{
	return &answers[idx < answer_cnt ? idx : answer_cnt - 1];
}

/* This replaces libbpf's function. */
int bpf_xdp_query_id(int ifindex, int flags, __u32 *id)
{
	__s64 device = answer(queries++)->device;

	(void)ifindex;
	(void)flags;
	if (device < 0)
		return device;
	*id = device;
	return 0;
}

/* This replaces libbpf's function: a file with the numbers. */
int bpf_iter_create(int link_fd)
{
	struct answer *a = answer(lists++);
	int fd;

	(void)link_fd;
	if (a->cnt < 0) {
		errno = -a->cnt;
		return -1;
	}
	fd = memfd_create("targets", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, a->ids, a->cnt * sizeof(a->ids[0])),
			 a->cnt * sizeof(a->ids[0]));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static bool is_attached(int cnt)
{
	struct pt_program *p = program_new(&(struct pt_device){ .ifindex = 2 });
	bool is;

	assert_non_null(p);
	p->info.id = OURS;
	p->info.dispatcher = true;
	p->targets_fd = memfd_create("list", MFD_CLOEXEC);
	queries = lists = 0;
	answer_cnt = cnt;
	is = pt_program_is_attached(p);
	program_free(p);
	return is;
}

static void test_rule(void **state)
{
	const __u32 ids[] = { 20, 30 };

	(void)state;
	assert_true(pt_targets_lead_to(OURS, 20, ids, 2));
	assert_true(pt_targets_lead_to(OURS, 30, ids, 2));
	assert_false(pt_targets_lead_to(OURS, 40, ids, 2));
	assert_false(pt_targets_lead_to(OURS, 30, ids, 1));
	assert_false(pt_targets_lead_to(OURS, 20, ids, 0));
	assert_false(pt_targets_lead_to(OURS, 0, ids, 2));
	assert_true(pt_targets_lead_to(OURS, OURS, ids, 0));
}

static void test_called(void **state)
{
	(void)state;
	answers[0] = (struct answer){ .device = 20, .cnt = 1, .ids = { 20 } };
	assert_true(is_attached(1));
}

/* Another dispatcher, which calls this program, too, comes between two
 * checks. */
static void test_replaced(void **state)
{
	(void)state;
	answers[0] = (struct answer){ .device = 30, .cnt = 2,
				      .ids = { 20, 30 } };
	assert_true(is_attached(1));
	answers[0].ids[0] = 30;
	answers[0].cnt = 1;
	assert_true(is_attached(1));
}

/* ... and during one: the first answer and the second never held together. */
static void test_replaced_meanwhile(void **state)
{
	(void)state;
	answers[0] = (struct answer){ .device = 20, .cnt = 1, .ids = { 30 } };
	answers[1] = (struct answer){ .device = 30, .cnt = 1, .ids = { 30 } };
	assert_true(is_attached(2));
	answers[1].cnt = 0;
	assert_false(is_attached(2));
}

static void test_taken_out(void **state)
{
	(void)state;
	answers[0] = (struct answer){ .device = 30, .cnt = 0 };
	assert_false(is_attached(1));
	/* The earlier link lives on in another process's descriptor. */
	answers[0] = (struct answer){ .device = 30, .cnt = 1, .ids = { 20 } };
	assert_false(is_attached(1));
	answers[0] = (struct answer){ .device = 0, .cnt = 1, .ids = { 20 } };
	assert_false(is_attached(1));
	answers[0] = (struct answer){ .device = -ENODEV };
	assert_false(is_attached(1));
}

/* An unknown state is not reported as a fault. */
static void test_untold(void **state)
{
	(void)state;
	answers[0] = (struct answer){ .device = 20, .cnt = -EMFILE };
	assert_true(is_attached(1));
	answers[0] = (struct answer){ .device = -ENOBUFS };
	assert_true(is_attached(1));
	answers[0] = (struct answer){ .device = 20, .cnt = PT_TARGETS_MAX + 1 };
	assert_true(is_attached(1));
	/* A dispatcher that changes with each check. */
	for (int i = 0; i < LOOKS_MAX; i++)
		answers[i] = (struct answer){ .device = 20 + i };
	assert_true(is_attached(LOOKS_MAX));
}

static void test_all_targets_are_read(void **state)
{
	(void)state;
	answers[0] = (struct answer){ .device = 99, .cnt = PT_TARGETS_MAX - 1 };
	answers[0].ids[PT_TARGETS_MAX - 2] = 99;
	assert_true(is_attached(1));
	answers[0].ids[PT_TARGETS_MAX - 2] = 98;
	assert_false(is_attached(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_called),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_replaced_meanwhile),
		cmocka_unit_test(test_taken_out),
		cmocka_unit_test(test_untold),
		cmocka_unit_test(test_all_targets_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
