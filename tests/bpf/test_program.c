// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The receive program on a real veth, as a process has it: attached, taken by
 * others, sessions, and the ledger's first identity with real sockets. */
#include "receiver.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <sys/syscall.h>

#include "xdp/cause.h"
#include "xdp/lease.h"

static void test_own_lives_with_its_process(void **state)
{
	struct pt_program_info info;
	struct pt_program *p;

	(void)state;
	veth_make(&veth, QUEUES, 9000);
	p = must_open(native());
	pt_program_info(p, &info);
	assert_true(info.id && !info.generic && !info.pinned);
	assert_true(info.multi_buffer);
	assert_int_equal(attached_id(false), info.id);
	pt_program_close(p);
	assert_int_equal(attached_soon(false), 0);

	p = must_open(generic());
	pt_program_info(p, &info);
	assert_true(info.id && info.generic);
	assert_int_equal(attached_id(true), info.id);
	assert_int_equal(attached_soon(false), 0);
	pt_program_close(p);
	assert_int_equal(attached_soon(true), 0);
	assert_int_equal(litter(), 0);
}

static void test_single_buffer(void **state)
{
	struct pt_program_cfg cfg = native();
	struct pt_program_info info;
	struct pt_program *p;

	(void)state;
	cfg.single_buffer = true;
	veth_make(&veth, QUEUES, 1500);
	p = must_open(cfg);
	pt_program_info(p, &info);
	assert_false(info.multi_buffer);
	pt_program_close(p);
	veth_make(&veth, QUEUES, 9000);
	refused(cfg, -ERANGE, "MTU 9000");
}

static void test_too_few_queues(void **state)
{
	(void)state;
	veth_make(&veth, QUEUES, 1500);
	run("ip link del %s", veth.near.name);
	run("ip link add %s numtxqueues 4 numrxqueues 4 type veth "
	    "peer name %s numtxqueues 2 numrxqueues 2", veth.near.name,
	    veth.far.name);
	veth_learn(&veth);
	refused(native(), -ENOSPC, "2 receive queues");
}

static void test_no_native_xdp(void **state)
{
	(void)state;
	veth_make(&veth, QUEUES, 1500);
	run("ip link add d%d address 02:00:00:00:00:01 type bridge", getpid());
	veth.far.name[0] = 'd';
	assert_int_equal(pt_device_open(&veth.far, veth.far.name, NULL), 0);
	refused(native(), -EOPNOTSUPP, "use generic");
	pt_program_close(must_open(generic()));
}

/* foreign attaches another owner's program, the old way, by netlink. */
static int foreign(__u32 flags)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "firewall", "GPL", pass, 2,
			       NULL);

	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach(veth.far.ifindex, fd, flags, NULL), 0);
	return fd;
}

static void test_held_by_another(void **state)
{
	static const __u32 modes[] = { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE };
	struct pt_program_info info;
	struct pt_error err;
	__u32 before;

	(void)state;
	for (int i = 0; i < 2; i++) {
		bool in_generic = modes[i] == XDP_FLAGS_SKB_MODE;
		struct pt_program_cfg cfg = native();

		veth_make(&veth, QUEUES, 1500);
		close(foreign(modes[i]));
		before = attached_id(in_generic);
		assert_true(before > 0);
		refused(native(), -EBUSY, "'firewall'");
		refused(generic(), -EBUSY, "'firewall'");
		assert_int_equal(pt_program_pin(&cfg, &info, &err), -EBUSY);
		assert_non_null(strstr(err.text, "'firewall'"));
		assert_int_equal(pt_program_unpin(&veth.far, true, NULL),
				 -ENOENT);
		assert_int_equal(attached_id(in_generic), before);
		assert_int_equal(litter(), 0);
	}
}

static void receive_alone(void)
{
	struct pt_leases *leases;
	struct pt_lease *lease;
	struct pt_program *p = must_open(native());

	assert_int_equal(pt_leases_open(&leases, &veth.far, NULL), 0);
	assert_int_equal(pt_lease_take(&lease, leases, 1, "receive", NULL), 0);
	must_add(p, ID, 2);
}

static void test_held_by_a_receiver(void **state)
{
	struct pt_program *p = NULL;
	struct pt_program_info info;
	struct pt_counters c;
	struct pt_xsk *tx;
	char word[32];
	__u64 ids[2];
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	assert_int_equal(pt_program_peek(&p, &veth.far, NULL), -ENOENT);
	pid = child(receive_alone);
	snprintf(word, sizeof(word), "pid %d, pagetrim receive", pid);
	refused(native(), -EBUSY, word);
	assert_int_equal(pt_program_unpin(&veth.far, true, NULL), -EBUSY);

	/* its counters can be read all the same */
	assert_int_equal(pt_program_peek(&p, &veth.far, NULL), 0);
	pt_program_info(p, &info);
	assert_false(info.pinned);
	assert_int_equal(info.id, attached_id(false));
	assert_int_equal(pt_program_sessions(p, ids, 2), 1);
	assert_true(ids[0] == ID);
	tx = sender(0);
	send_probes(tx, 2, 200, 3);
	c = queue_counters(p, 0);
	assert_int_equal(c.no_socket, 3);
	assert_int_equal(pt_program_session_counters(p, ID, &c), 0);
	assert_int_equal(c.no_socket, 3);
	pt_xsk_close(tx);
	pt_program_close(p);

	kill_hard(pid);
	assert_int_equal(attached_soon(false), 0);
	pt_program_close(must_open(native()));
}

static void test_sessions(void **state)
{
	struct pt_session session = session_to(2);
	struct pt_counters c;
	struct pt_program *p;
	struct pt_xsk *tx;
	__u64 ids[4];

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	p = must_open(native());
	tx = sender(0);
	send_probes(tx, 2, 200, 1);
	assert_int_equal(queue_counters(p, 0).no_socket, 0);	/* passed */

	must_add(p, ID, 2);
	must_add(p, ID + 1, 2);
	assert_int_equal(pt_program_session_add(p, ID, &session, NULL),
			 -EEXIST);
	assert_int_equal(pt_program_sessions(p, ids, 4), 2);
	send_probes(tx, 2, 200, 2);
	assert_int_equal(pt_program_session_counters(p, ID, &c), 0);
	assert_int_equal(c.no_socket, 2);
	assert_int_equal(c.seen, 2);
	assert_int_equal(c.seen_bytes, 400);
	assert_int_equal(pt_program_session_counters(p, ID + 1, &c), 0);
	assert_int_equal(c.seen, 0);

	/* The other session keeps the endpoint open. */
	pt_program_session_remove(p, ID);
	send_probes(tx, 2, 200, 4);
	assert_int_equal(queue_counters(p, 0).unknown_session, 4);
	assert_int_equal(pt_program_session_counters(p, ID, &c), 0);
	assert_int_equal(c.seen, 2);	/* to be read after the session */
	pt_program_session_remove(p, ID + 1);
	send_probes(tx, 2, 200, 8);
	assert_int_equal(queue_counters(p, 0).unknown_session, 4);
	assert_int_equal(queue_counters(p, 0).no_socket, 2);
	assert_int_equal(pt_program_sessions(p, ids, 4), 0);
	assert_int_equal(pt_program_lane_queue(p, ID, 0, 0), -ENOENT);
	assert_int_equal(pt_program_session_counters(p, ID + 2, &c), -ENOENT);

	must_add(p, ID, 2);	/* an id again: from zero */
	assert_int_equal(pt_program_session_counters(p, ID, &c), 0);
	assert_int_equal(c.seen, 0);
	pt_xsk_close(tx);
	pt_program_close(p);
}

/* churn opens and closes as many sessions as there are counters for. */
static void churn(struct pt_program *p)
{
	for (__u64 id = 1; id <= PT_SESSIONS_MAX; id++) {
		must_add(p, id, 2);
		pt_program_session_remove(p, id);
	}
}

/* A session whose ledger is not read yet keeps its counters, however many
 * sessions open and close meanwhile. */
static void test_closed_session(void **state)
{
	struct pt_counters c;
	struct pt_program *p;
	struct pt_xsk *tx;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	p = must_open(native());
	tx = sender(0);
	must_add(p, ID, 2);
	must_add(p, ID + 1, 2);
	send_probes(tx, 2, 200, 2);
	pt_program_session_close(p, ID);
	send_probes(tx, 2, 200, 4);
	assert_int_equal(queue_counters(p, 0).unknown_session, 4);
	pt_program_session_close(p, ID + 1);	/* the endpoint's last */
	send_probes(tx, 2, 200, 8);
	assert_int_equal(queue_counters(p, 0).unknown_session, 4);
	churn(p);
	churn(p);
	assert_int_equal(pt_program_session_counters(p, ID, &c), 0);
	assert_int_equal(c.seen, 2);
	pt_program_session_remove(p, ID);
	churn(p);
	churn(p);
	assert_int_equal(pt_program_session_counters(p, ID, &c), -ENOENT);
	pt_xsk_close(tx);
	pt_program_close(p);
}

static void send_data(struct pt_xsk *tx, unsigned int last_byte)
{
	struct pt_frame_id id = { .session_id = ID, .generation = 1 };
	struct pt_link link = link_to(last_byte);
	struct pt_builder b;
	void *frame = pt_xsk_tx_frame(tx);

	assert_non_null(frame);
	pt_builder_init(&b, &(struct pt_builder_cfg){
		.l2l3l4_sz = pt_link_sz(&link), .frame_sz_max = 1514 });
	assert_true(pt_builder_add_zeroes(&b, 7, 1));
	pt_xsk_tx_submit(tx, frame,
			 pt_builder_close(&b, &link, &id, NULL, frame));
	flushed(tx);
}

static void test_lane_queue(void **state)
{
	struct pt_program *p;
	struct pt_xsk *tx;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	p = must_open(native());
	tx = sender(1);
	must_add(p, ID, 2);
	send_data(tx, 2);
	assert_int_equal(queue_counters(p, 1).wrong_queue, 1);
	assert_int_equal(pt_program_lane_queue(p, ID, 0, 1), 0);
	send_data(tx, 2);
	assert_int_equal(queue_counters(p, 1).wrong_queue, 1);
	assert_int_equal(queue_counters(p, 1).no_socket, 1);
	assert_int_equal(pt_program_lane_queue(p, ID, 0, 0), 0);
	send_data(tx, 2);
	assert_int_equal(queue_counters(p, 1).wrong_queue, 2);
	pt_xsk_close(tx);
	pt_program_close(p);
}

static void test_too_many_sessions(void **state)
{
	struct pt_session session = session_to(2);
	struct pt_program *p;
	struct pt_counters c;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	p = must_open(native());
	for (__u64 id = 1; id <= PT_SESSIONS_MAX; id++)
		must_add(p, id, 2);
	assert_int_equal(pt_program_session_add(p, ID, &session, NULL),
			 -E2BIG);
	pt_program_session_remove(p, 5);
	must_add(p, ID, 2);	/* takes the place of 5's old counters */
	assert_int_equal(pt_program_session_counters(p, 5, &c), -ENOENT);
	assert_int_equal(pt_program_session_counters(p, 6, &c), 0);
	pt_program_close(p);
}

static const struct ledger_row {
	const char *name;
	unsigned int mtu;
	__u32 sz;
	bool generic;
} ledger_rows[] = {
	{ "steered = received + dropped, native 1514", 1500, 1514, false },
	{ "steered = received + dropped, native 9014", 9000, 9014, false },
	{ "steered = received + dropped, native 65549", 65535, 65549, false },
	{ "steered = received + dropped, generic 1514", 1500, 1514, true },
	{ "steered = received + dropped, generic 65549", 65535, 65549, true },
};

/* A socket that is read now and then, and has too few chunks in between. */
static void test_ledger(void **state)
{
	const struct ledger_row *row = *state;
	struct pt_rx_frame frames[PT_XSK_BATCH_MAX];
	struct pt_xsk_stats stats;
	struct pt_program *p;
	struct pt_counters c;
	struct pt_xsk *tx, *rx;
	__u32 cnt;

	veth_make(&veth, QUEUES, row->mtu);
	p = must_open(row->generic ? generic() : native());
	must_add(p, ID, 2);
	rx = must_xsk(&(struct pt_xsk_cfg){ .device = &veth.far,
					    .rx_chunk_cnt = 64 });
	assert_int_equal(pt_program_socket_set(p, 0, pt_xsk_fd(rx), NULL), 0);
	tx = sender(0);
	for (int burst = 1; burst < 100; burst += 7) {
		send_probes(tx, 2, row->sz, burst);
		for (cnt = 1; cnt;) {
			cnt = pt_xsk_recv(rx, frames, PT_XSK_BATCH_MAX);
			pt_xsk_recycle(rx, frames, cnt);
		}
		c = queue_counters(p, 0);
		assert_int_equal(pt_xsk_stats(rx, &stats), 0);
		assert_int_equal(c.steered,
				 stats.received + pt_xsk_dropped(&stats));
		assert_int_equal(c.seen, c.steered + c.passed);
	}
	assert_true(stats.received > 100 || row->sz > 60000);
	assert_true(stats.received > 10 && pt_xsk_dropped(&stats) > 10);

	assert_int_equal(pt_program_socket_set(p, 0, -1, NULL), 0);
	send_probes(tx, 2, row->sz, 5);
	assert_int_equal(queue_counters(p, 0).no_socket, 5);
	assert_int_equal(pt_program_socket_set(p, PT_QUEUES_MAX, -1, NULL),
			 -EINVAL);
	pt_xsk_close(tx);
	pt_xsk_close(rx);
	pt_program_close(p);
}

static int open_without_capabilities(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct caps[2] = { 0 };
	struct pt_program_cfg cfg = native();
	struct pt_program *p;
	struct pt_error err;
	int ret;

	syscall(SYS_capset, &head, caps);
	ret = pt_program_open(&p, &cfg, &err);
	return strstr(err.text, "CAP_NET_ADMIN") ? -ret : 0;
}

static void test_no_privilege(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	pid = fork();
	if (!pid)
		_exit(open_without_capabilities());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), EPERM);
}

#define ROWS(rows) (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(test_own_lives_with_its_process),
		cmocka_unit_test(test_single_buffer),
		cmocka_unit_test(test_too_few_queues),
		cmocka_unit_test(test_no_native_xdp),
		cmocka_unit_test(test_held_by_another),
		cmocka_unit_test(test_held_by_a_receiver),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_lane_queue),
		cmocka_unit_test(test_closed_session),
		cmocka_unit_test(test_too_many_sessions),
		cmocka_unit_test(test_no_privilege),
	};
	struct CMUnitTest tests[ROWS(plain) + ROWS(ledger_rows)];
	size_t cnt = 0;

	pt_cause_begin();
	for (size_t i = 0; i < ROWS(ledger_rows); i++)
		tests[cnt++] = (struct CMUnitTest){ ledger_rows[i].name,
			test_ledger, NULL, NULL, (void *)&ledger_rows[i] };
	memcpy(&tests[cnt], plain, sizeof(plain));
	return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
