// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A receiver that begins: its leases are invisible, as in a container with its
 * own /run, its program is on the device, and it has no sockets yet.  No other
 * receiver may take the program for a dead one's. */
#include "receiver.h"

#include <dlfcn.h>
#include <errno.h>

#include "xdp/cause.h"
#include "xdp/lease.h"
#include "xdp/program_impl.h"

static void (*at_update)(void);	/* called once, before a link's update */

/* This replaces libbpf's function. */
int bpf_link_update(int link_fd, int prog_fd,
		    const struct bpf_link_update_opts *opts)
{
	int (*next)(int, int, const struct bpf_link_update_opts *) =
		dlsym(RTLD_NEXT, "bpf_link_update");
	void (*hook)(void) = at_update;

	at_update = NULL;
	if (hook)
		hook();
	return next(link_fd, prog_fd, opts);
}

static void begin_to_receive(void)
{
	must_open(native());
}

/* opens_soon: the kernel frees a killed process's resources a moment later. */
static struct pt_program *opens_soon(void)
{
	struct pt_program_cfg cfg = native();
	struct pt_program *p = NULL;

	for (int i = 0; i < 500 && pt_program_open(&p, &cfg, NULL); i++)
		usleep(10000);
	assert_non_null(p);
	return p;
}

/* The test has leases of its own by then, as a receiver that begins has. */
static void test_one_begins(void **state)
{
	struct pt_leases *leases;
	struct pt_lease *lease;
	struct pt_program *p;
	char word[64];
	__u32 id;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	pid = child(begin_to_receive);
	id = attached_id(false);
	assert_true(id > 0);
	assert_int_equal(pt_leases_open(&leases, &veth.far, NULL), 0);
	assert_int_equal(pt_lease_take(&lease, leases, 0, "receive", NULL), 0);
	snprintf(word, sizeof(word), "'pagetrim' (id %u) of pid %d, ", id, pid);
	refused(native(), -EBUSY, word);	/* by its link */
	assert_int_equal(attached_id(false), id);
	kill_hard(pid);
	p = opens_soon();
	pt_program_close(p);
	assert_int_equal(attached_soon(false), 0);
	pt_lease_release(lease);
	pt_leases_close(leases);
}

/* A sender's link outlives the receiver that had begun: then the program is a
 * dead one's. */
static void test_one_died(void **state)
{
	struct pt_pass *pass;
	struct pt_program *p;
	__u32 id;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	pass = must_pass();
	pid = child(begin_to_receive);
	id = attached_id(false);
	refused(native(), -EBUSY, "held by");
	assert_int_equal(attached_id(false), id);
	kill_hard(pid);
	assert_int_equal(attached_id(false), id);
	p = opens_soon();
	assert_int_not_equal(attached_id(false), id);
	pt_program_close(p);
	pt_pass_close(pass);
	assert_int_equal(attached_soon(false), 0);
}

static pid_t beginner;

static void one_comes(void)
{
	beginner = child(begin_to_receive);
}

/* Two receivers see the same sender's program, and one is quicker. */
static void test_two_begin(void **state)
{
	struct pt_pass *pass;
	__u32 id;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	pass = must_pass();
	id = attached_id(false);
	beginner = 0;
	at_update = one_comes;
	refused(native(), -EBUSY, "held by");
	assert_true(beginner > 0);
	assert_int_not_equal(attached_id(false), id);
	id = attached_id(false);
	refused(native(), -EBUSY, "held by");
	assert_int_equal(attached_id(false), id);
	kill_hard(beginner);
	pt_program_close(opens_soon());
	pt_pass_close(pass);
}

static __u32 theirs;

/* another_takes takes the link from a living receiver, as no pagetrim does. */
static void another_takes(void)
{
	struct pagetrim_bpf *skel = pagetrim_bpf__open_and_load();
	int link = bpf_link_get_fd_by_id(theirs);

	assert_non_null(skel);
	assert_true(link >= 0);
	assert_int_equal(bpf_link_update(link, bpf_program__fd(
			 skel->progs.pagetrim), NULL), 0);
	close(link);
	pagetrim_bpf__destroy(skel);
}

/* The earlier program comes back, but not in place of another receiver's. */
static void test_put_back(void **state)
{
	struct bpf_link_info info = { 0 };
	__u32 info_sz = sizeof(info), id;
	struct pt_pass *pass;
	struct pt_program *p;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	pass = must_pass();
	p = must_open(native());
	assert_int_equal(bpf_obj_get_info_by_fd(p->link_fd, &info, &info_sz),
			 0);
	theirs = info.id;
	another_takes();
	id = attached_id(false);
	pt_program_close(p);
	assert_int_equal(attached_id(false), id);
	pt_pass_close(pass);
}

/* The search finds a socket on any queue, and the first socket clears the
 * mark. */
static void test_sockets(void **state)
{
	struct pt_program *p;
	struct pt_xsk *x;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	p = must_open(native());
	assert_true(p->mark_fd >= 0);
	assert_false(program_is_orphan(p));
	x = must_xsk(&(struct pt_xsk_cfg){
		.device = &veth.far, .queue = 1, .rx_chunk_cnt = 64 });
	assert_int_equal(pt_program_socket_set(p, 1, pt_xsk_fd(x), NULL), 0);
	assert_int_equal(p->mark_fd, -1);
	assert_false(program_is_orphan(p));
	assert_int_equal(pt_program_socket_set(p, 1, -1, NULL), 0);
	assert_true(program_is_orphan(p));
	assert_true(program_is_orphan(p));	/* the search left no pin */
	assert_int_equal(pt_program_socket_set(p, PT_QUEUES_MAX - 1,
					       pt_xsk_fd(x), NULL), 0);
	assert_false(program_is_orphan(p));
	pt_xsk_close(x);
	assert_true(program_is_orphan(p));
	pt_program_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_begins),
		cmocka_unit_test(test_one_died),
		cmocka_unit_test(test_two_begin),
		cmocka_unit_test(test_put_back),
		cmocka_unit_test(test_sockets),
	};

	pt_cause_begin();
	return cmocka_run_group_tests_name("begin", tests, NULL, NULL);
}
