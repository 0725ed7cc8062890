// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The errors of stats and detach for a device without an attached program of
 * theirs: their remedies work, and no useless remedy is offered. */
#include "receiver.h"

#include <dlfcn.h>
#include <linux/if_link.h>
#include <sched.h>
#include <sys/syscall.h>

#include "xdp/cause.h"

/* says asserts that err has word; says_not that it has not. */
static void says(const struct pt_error *err, const char *word)
{
	if (!strstr(err->text, word))
		fail_msg("'%s' without '%s'", err->text, word);
}

static void says_not(const struct pt_error *err, const char *word)
{
	if (strstr(err->text, word))
		fail_msg("'%s' with '%s'", err->text, word);
}

static void receive_alone(void)
{
	must_add(must_open(native()), ID, 2);
}

/* A receiver's own program: no force detaches it, so the error offers none. */
static void test_own_program(void **state)
{
	struct pt_error err;
	char word[32];
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	pid = child(receive_alone);
	snprintf(word, sizeof(word), "pid %d, ", pid);
	for (int force = 0; force <= 1; force++) {
		assert_int_equal(pt_program_unpin(&veth.far, force, &err),
				 -EBUSY);
		says(&err, word);
		says(&err, "goes with that receiver");
		says_not(&err, "force");
	}
	assert_true(attached_id(false) > 0);
	kill_hard(pid);
}

static void test_another_program(void **state)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "firewall", "GPL", pass, 2,
			       NULL);
	struct pt_program *p;
	struct pt_error err;

	(void)state;
	assert_true(fd >= 0);
	veth_make(&veth, QUEUES, 1500);
	assert_int_equal(pt_program_peek(&p, &veth.far, &err), -ENOENT);
	says(&err, "attach");
	assert_int_equal(bpf_xdp_attach(veth.far.ifindex, fd,
					XDP_FLAGS_DRV_MODE, NULL), 0);
	close(fd);
	assert_int_equal(pt_program_peek(&p, &veth.far, &err), -ENOENT);
	says(&err, "'firewall'");
	says_not(&err, "pagetrim attach");
}

static void own_net(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
}

/* The device was moved with the pins for it: detach needs force here. */
static void test_moved(void **state)
{
	struct pt_device device;
	struct pt_program *p;
	struct pt_error err;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	pid = child(own_net);
	run("ip link set %s netns %d", veth.far.name, pid);
	assert_int_equal(pt_program_device(&device, veth.far.name, &err), 0);
	assert_int_equal(device.ifindex, 0);
	assert_int_equal(pt_program_peek(&p, &device, &err), -ENODEV);
	says(&err, "another network namespace");
	says(&err, "force");
	assert_int_equal(pt_program_unpin(&device, true, &err), 0);
	kill_hard(pid);
	assert_int_equal(litter(), 0);
}

static void receive_on_1(void)
{
	struct pt_program *p = must_open(native());
	struct pt_xsk *x = must_xsk(&(struct pt_xsk_cfg){
		.device = &veth.far, .queue = 1, .rx_chunk_cnt = 64 });

	assert_int_equal(pt_program_socket_set(p, 1, pt_xsk_fd(x), NULL), 0);
}

/* A receiver uses queues without a visible lease. */
static void test_sockets(void **state)
{
	bool has[PT_QUEUES_MAX];
	struct pt_program *p;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	pid = child(receive_on_1);
	assert_int_equal(pt_program_peek(&p, &veth.far, NULL), 0);
	assert_int_equal(pt_program_sockets(p, has), 0);
	for (__u32 q = 0; q < PT_QUEUES_MAX; q++)
		assert_int_equal(has[q], q == 1);
	kill_hard(pid);
	for (int i = 0; i < 500 && has[1]; i++) {
		assert_int_equal(pt_program_sockets(p, has), 0);
		usleep(10000);	/* the kernel takes its sockets out */
	}
	assert_false(has[1]);
	pt_program_close(p);
	must_unpin(false);
	assert_int_equal(litter(), 0);
}

static bool is_interrupted;	/* the verifier is, each time */

/* This replaces libc's function, which libbpf calls. */
long syscall(long number, ...)
{
	long (*next)(long, ...) = dlsym(RTLD_NEXT, "syscall");
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (is_interrupted && number == SYS_bpf && a[0] == BPF_PROG_LOAD &&
	    !strcmp(((union bpf_attr *)a[1])->prog_name, "pagetrim")) {
		errno = EAGAIN;
		return -1;
	}
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* A verifier that signals interrupt is neither an old kernel nor a device that
 * attach and detach are at work on. */
static void test_interrupted(void **state)
{
	struct pt_program_cfg cfg = native();
	struct pt_program_info info;
	struct pt_program *p;
	struct pt_error err;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	is_interrupted = true;
	assert_int_equal(pt_program_open(&p, &cfg, &err), -EINTR);
	says(&err, "signals");
	says_not(&err, "Linux");
	assert_int_equal(pt_program_pin(&cfg, &info, &err), -EINTR);
	says(&err, "signals");
	is_interrupted = false;
	pt_program_close(must_open(cfg));
}

/* This removes the pins of a failed test. */
static int clean(void **state)
{
	(void)state;
	pt_program_unpin(&veth.far, true, NULL);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
	const struct CMUnitTest tests[] = {
		TEST(test_own_program),
		TEST(test_another_program),
		TEST(test_moved),
		TEST(test_sockets),
		TEST(test_interrupted),
	};

	pt_cause_begin();
	return cmocka_run_group_tests_name("remedies", tests, NULL, NULL);
}
