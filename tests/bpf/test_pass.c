// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A sender's pass program and a receiver's program on one device: the second
 * process takes over the link of the first, and either may end first. */
#include "receiver.h"

#include <errno.h>
#include <linux/if_link.h>

#include "xdp/hook.h"

/* runs asserts which program the device runs, "": none. */
static void runs(const char *name)
{
	struct pt_hook hook;

	assert_int_equal(pt_hook_look(&hook, veth.far.ifindex), 0);
	assert_string_equal(hook.name, name);
	assert_false(hook.generic);
}

/* runs_soon: the kernel frees a killed process's resources a moment later. */
static void runs_soon(const char *name)
{
	struct pt_hook hook;

	for (int i = 0; i < 500; i++) {
		assert_int_equal(pt_hook_look(&hook, veth.far.ifindex), 0);
		if (!strcmp(hook.name, name))
			return;
		usleep(10000);
	}
	runs(name);
}

static struct pt_xsk *must_receive(struct pt_program *p, __u32 queue)
{
	struct pt_xsk *x = must_xsk(&(struct pt_xsk_cfg){
		.device = &veth.far, .queue = queue, .rx_chunk_cnt = 64 });

	assert_int_equal(pt_program_socket_set(p, queue, pt_xsk_fd(x), NULL),
			 0);
	return x;
}

static void test_alone(void **state)
{
	struct pt_pass *p;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	p = must_pass();
	runs(PT_PASS_NAME);
	assert_true(pt_pass_is_there(p));
	pt_pass_close(p);
	runs_soon("");
	assert_int_equal(litter(), 0);
}

static void test_two_senders(void **state)
{
	struct pt_pass *first, *second;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	first = must_pass();
	second = must_pass();
	pt_pass_close(first);
	runs(PT_PASS_NAME);
	assert_true(pt_pass_is_there(second));
	pt_pass_close(second);
	runs_soon("");
}

/* The receiver's program replaces the sender's; when it is gone, the sender's
 * is back. */
static void test_receiver_second(void **state)
{
	struct pt_pass *sender;
	struct pt_program *p;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	sender = must_pass();
	p = must_open(native());
	runs(PT_PROGRAM_NAME);
	assert_true(pt_program_is_attached(p));
	assert_true(pt_pass_is_there(sender));
	pt_program_close(p);
	runs(PT_PASS_NAME);
	assert_true(pt_pass_is_there(sender));
	pt_pass_close(sender);
	runs_soon("");
}

/* The sender ends first: the receiver does not notice. */
static void test_sender_ends_first(void **state)
{
	struct pt_pass *sender;
	struct pt_program *p;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	sender = must_pass();
	p = must_open(native());
	pt_pass_close(sender);
	runs(PT_PROGRAM_NAME);
	assert_true(pt_program_is_attached(p));
	pt_program_close(p);
	runs_soon("");
}

/* The sender comes second and holds the receiver's link: its program stays
 * beyond its end, and the next receiver replaces it. */
static void test_sender_second(void **state)
{
	struct pt_program *p, *next;
	struct pt_pass *sender;
	__u32 before;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	p = must_open(native());
	sender = must_pass();
	before = attached_id(false);
	pt_program_close(p);
	runs(PT_PROGRAM_NAME);
	assert_true(pt_pass_is_there(sender));
	next = must_open(native());
	assert_int_not_equal(attached_id(false), before);
	assert_true(pt_program_is_attached(next));
	pt_program_close(next);
	pt_pass_close(sender);
	runs_soon("");
}

/* A living receiver is not replaced, although its leases are invisible: its
 * sockets are visible. */
static void test_receiver_lives(void **state)
{
	struct pt_pass *sender;
	struct pt_program *p;
	struct pt_xsk *x;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	sender = must_pass();
	p = must_open(native());
	x = must_receive(p, 1);
	refused(native(), -EBUSY, "'pagetrim'");
	assert_true(pt_program_is_attached(p));
	pt_xsk_close(x);
	pt_program_close(p);
	pt_pass_close(sender);
	runs_soon("");
}

static void receive_second(void)
{
	must_receive(must_open(native()), 0);
}

/* Killed, it leaves its program to the sender, and the next takes it over. */
static void test_receiver_killed(void **state)
{
	struct pt_pass *sender;
	struct pt_program *next;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	sender = must_pass();
	pid = child(receive_second);
	runs(PT_PROGRAM_NAME);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	next = must_open(native());
	assert_true(pt_program_is_attached(next));
	assert_true(pt_pass_is_there(sender));
	pt_program_close(next);
	pt_pass_close(sender);
	runs_soon("");
}

static void send_second(void)
{
	must_pass();
}

static void test_sender_killed(void **state)
{
	struct pt_program *p;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	pid = child(send_second);
	runs(PT_PASS_NAME);
	p = must_open(native());
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(pt_program_is_attached(p));
	runs(PT_PROGRAM_NAME);
	pt_program_close(p);
	runs_soon("");
}

/* A foreign program is not touched; its removal is noticed. */
static void test_foreign(void **state)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "firewall", "GPL", pass, 2,
			       NULL);
	struct pt_pass *p;

	(void)state;
	assert_true(fd >= 0);
	veth_make(&veth, QUEUES, 1500);
	assert_int_equal(bpf_xdp_attach(veth.far.ifindex, fd,
					XDP_FLAGS_DRV_MODE, NULL), 0);
	close(fd);
	p = must_pass();
	runs("firewall");
	assert_true(pt_pass_is_there(p));
	assert_int_equal(bpf_xdp_detach(veth.far.ifindex, XDP_FLAGS_DRV_MODE,
					NULL), 0);
	assert_false(pt_pass_is_there(p));
	pt_pass_close(p);
	runs_soon("");
}

static void test_detached(void **state)
{
	struct pt_pass *p;
	struct pt_hook hook;
	int link;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	p = must_pass();
	assert_int_equal(pt_hook_look(&hook, veth.far.ifindex), 0);
	link = pt_hook_link(veth.far.ifindex, hook.prog_id);
	assert_true(link >= 0);
	assert_int_equal(bpf_link_detach(link), 0);
	close(link);
	assert_false(pt_pass_is_there(p));
	pt_pass_close(p);
}

static void test_generic_holder(void **state)
{
	struct pt_program *receiver;
	struct pt_pass *p = NULL;
	struct pt_error err;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	receiver = must_open(generic());
	assert_int_equal(pt_pass_open(&p, &veth.far, &err), -EEXIST);
	assert_null(p);
	assert_non_null(strstr(err.text, "generic mode"));
	pt_program_close(receiver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_two_senders),
		cmocka_unit_test(test_receiver_second),
		cmocka_unit_test(test_sender_ends_first),
		cmocka_unit_test(test_sender_second),
		cmocka_unit_test(test_receiver_lives),
		cmocka_unit_test(test_receiver_killed),
		cmocka_unit_test(test_sender_killed),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_detached),
		cmocka_unit_test(test_generic_holder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
