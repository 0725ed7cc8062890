// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The receive program on a real veth: attached, shared, pinned, taken by
 * others; and the ledger's first identity with real sockets. */
#include "veth.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "wire/builder.h"
#include "xdp/cause.h"
#include "xdp/lease.h"
#include "xdp/program.h"
#include "xdp/xsk.h"

#define QUEUES	2
#define PORT	16644
#define ID	0x1122334455667788ull

static struct veth veth;

static struct pt_program_cfg native(void)
{
	return (struct pt_program_cfg){ .device = &veth.far };
}

static struct pt_program_cfg generic(void)
{
	return (struct pt_program_cfg){ .device = &veth.far, .generic = true };
}

static struct pt_program *must_open(struct pt_program_cfg cfg)
{
	struct pt_program *p = NULL;
	struct pt_error err;

	if (pt_program_open(&p, &cfg, &err))
		fail_msg("%s", err.text);
	return p;
}

static struct pt_program_info must_pin(struct pt_program_cfg cfg)
{
	struct pt_program_info info;
	struct pt_error err;

	if (pt_program_pin(&cfg, &info, &err))
		fail_msg("%s", err.text);
	return info;
}

static void must_unpin(bool force)
{
	struct pt_error err;

	if (pt_program_unpin(&veth.far, force, &err))
		fail_msg("%s", err.text);
}

/* refused asserts that opening fails with code, and the text has word. */
static void refused(struct pt_program_cfg cfg, int code, const char *word)
{
	struct pt_error err = { 0 };
	struct pt_program *p = NULL;

	assert_int_equal(pt_program_open(&p, &cfg, &err), code);
	assert_null(p);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	if (!strstr(err.text, word) || !strstr(err.text, cfg.device->name))
		fail_msg("'%s' without '%s'", err.text, word);
}

/* attached_id returns what program the far device runs in that mode. */
static __u32 attached_id(bool in_generic)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	assert_int_equal(bpf_xdp_query(veth.far.ifindex, 0, &query), 0);
	return in_generic ? query.skb_prog_id : query.drv_prog_id;
}

/* litter counts files of /run/pagetrim and pins of the far device. */
static int litter(void)
{
	char path[128];
	struct dirent *entry;
	struct stat st;
	int cnt = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", PT_PIN_ROOT, veth.far.name);
	cnt += !stat(path, &st);
	snprintf(path, sizeof(path), "%llu-",
		 (unsigned long long)veth.far.netns_cookie);
	dir = opendir("/run/pagetrim");
	while (dir && (entry = readdir(dir)))
		cnt += !strncmp(entry->d_name, path, strlen(path));
	if (dir)
		closedir(dir);
	return cnt;
}

static struct pt_link link_to(unsigned int last_byte)
{
	struct pt_link link = {
		.src_port = PORT, .dst_port = PORT,
		.src_addr = { [10] = 0xff, 0xff, 10, 0, 0, 1 },
		.dst_addr = { [10] = 0xff, 0xff, 10, 0, 0, last_byte },
	};

	memcpy(link.src_mac, veth.near.mac, 6);
	memcpy(link.dst_mac, veth.far.mac, 6);
	return link;
}

static struct pt_session session_to(unsigned int last_byte)
{
	struct pt_link link = link_to(last_byte);
	struct pt_session session = { .lane_cnt = 1 };

	memcpy(session.endpoint.addr, link.dst_addr, 16);
	session.endpoint.port = __builtin_bswap16(PORT);
	session.lane_queue[0] = PT_QUEUE_ANY;
	return session;
}

/* endpoint_users returns the value of the pinned pt_endpoints for 10.0.0.X. */
static __u32 endpoint_users(unsigned int last_byte)
{
	struct pt_session session = session_to(last_byte);
	__u32 users = 0;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/pt_endpoints", PT_PIN_ROOT,
		 veth.far.name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	bpf_map_lookup_elem(fd, &session.endpoint, &users);
	close(fd);
	return users;
}

static void must_add(struct pt_program *p, __u64 id, unsigned int last_byte)
{
	struct pt_session session = session_to(last_byte);
	struct pt_error err;

	if (pt_program_session_add(p, id, &session, &err))
		fail_msg("%s", err.text);
}

static struct pt_xsk *must_xsk(const struct pt_xsk_cfg *cfg)
{
	struct pt_xsk *x = NULL;
	struct pt_error err;

	if (pt_xsk_open(&x, cfg, &err))
		fail_msg("%s", err.text);
	return x;
}

static struct pt_xsk *sender(__u32 queue)
{
	return must_xsk(&(struct pt_xsk_cfg){
		.device = &veth.near, .queue = queue, .tx_chunk_cnt = 256,
		.tx_frame_sz_max = pt_device_frame_sz(&veth.near) });
}

static void flush(struct pt_xsk *tx)
{
	for (int i = 0; i < 1000 && pt_xsk_tx_in_flight(tx); i++)
		assert_int_equal(pt_xsk_tx_wait(tx, 2000), 1);
	assert_int_equal(pt_xsk_tx_in_flight(tx), 0);
}

static void send_probes(struct pt_xsk *tx, unsigned int last_byte, __u32 sz,
			int cnt)
{
	struct pt_frame_id id = { .session_id = ID };
	struct pt_link link = link_to(last_byte);
	void *frame;

	for (; cnt; cnt--, id.seq++) {
		while (!(frame = pt_xsk_tx_frame(tx)))
			assert_int_equal(pt_xsk_tx_wait(tx, 2000), 1);
		pt_probe_write(&link, &id, sz, frame);
		pt_xsk_tx_submit(tx, frame, sz);
	}
	flush(tx);
}

static void send_data(struct pt_xsk *tx, unsigned int last_byte)
{
	struct pt_frame_id id = { .session_id = ID, .generation = 1 };
	struct pt_link link = link_to(last_byte);
	struct pt_builder b;
	void *frame = pt_xsk_tx_frame(tx);

	assert_non_null(frame);
	pt_builder_init(&b, &(struct pt_builder_cfg){ pt_link_sz(&link),
						      1514 });
	assert_true(pt_builder_add_zeroes(&b, 7, 1));
	pt_xsk_tx_submit(tx, frame, pt_builder_close(&b, &link, &id, frame));
	flush(tx);
}

static struct pt_counters queue_counters(struct pt_program *p, __u32 queue)
{
	struct pt_counters c;

	assert_int_equal(pt_program_queue_counters(p, queue, &c), 0);
	return c;
}

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
	assert_int_equal(attached_id(false), 0);

	p = must_open(generic());
	pt_program_info(p, &info);
	assert_true(info.id && info.generic);
	assert_int_equal(attached_id(true), info.id);
	assert_int_equal(attached_id(false), 0);
	pt_program_close(p);
	assert_int_equal(attached_id(true), 0);
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
	refused(native(), -EOPNOTSUPP, "use --generic");
	pt_program_close(must_open(generic()));
}

/* foreign attaches somebody else's program, the old way, by netlink. */
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

/* child runs body in a process of its own, which stays until killed; returns
 * once body is done. */
static pid_t child(void (*body)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		body();
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_hard(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* attached_soon waits for the kernel to detach what a dead process held. */
static __u32 attached_soon(bool in_generic)
{
	for (int i = 0; i < 500 && attached_id(in_generic); i++)
		usleep(10000);
	return attached_id(in_generic);
}

static void receive_alone(void)
{
	struct pt_lease *lease;
	struct pt_program *p = must_open(native());

	assert_int_equal(pt_lease_take(&lease, &veth.far, 1, "receive", NULL),
			 0);
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

	/* The other session keeps the endpoint ours. */
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
					    .rx_chunk_cnt = 64,
					    .generic = row->generic });
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

static void test_pin(void **state)
{
	static const char *const names[] = { "prog", "link", "pt_endpoints",
		"pt_sessions", "pt_xsks", "pt_queue_counters",
		"pt_session_counters" };
	struct pt_program_cfg cfg = native();
	struct pt_program_info info, second;
	struct pt_program *p, *q;
	struct pt_lease *lease;
	struct pt_error err;
	char path[128];
	struct stat st;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	info = must_pin(cfg);
	assert_true(info.pinned);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", PT_PIN_ROOT,
			 veth.far.name, names[i]);
		assert_int_equal(stat(path, &st), 0);
	}
	assert_int_equal(attached_id(false), info.id);
	assert_int_equal(pt_program_pin(&cfg, &info, &err), -EEXIST);
	refused(generic(), -EINVAL, "native mode");

	/* two share it */
	p = must_open(native());
	q = must_open(native());
	pt_program_info(p, &second);
	assert_true(second.pinned && second.id == info.id);
	must_add(p, ID, 2);
	must_add(q, ID + 1, 2);
	assert_int_equal(endpoint_users(2), 2);
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), -EBUSY);
	snprintf(path, sizeof(path), "pid %d, pagetrim receive", getpid());
	assert_non_null(strstr(err.text, path));
	pt_program_close(p);
	assert_int_equal(endpoint_users(2), 1);
	pt_program_close(q);
	assert_int_equal(endpoint_users(2), 0);
	assert_int_equal(attached_id(false), info.id);

	/* one that waits for its first session is a user, a sender is not */
	assert_int_equal(pt_lease_take(&lease, &veth.far, 1, "receive", NULL),
			 0);
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), -EBUSY);
	assert_non_null(strstr(err.text, path));
	pt_lease_release(lease);
	assert_int_equal(pt_lease_take(&lease, &veth.far, 1, "send", NULL), 0);
	must_unpin(false);
	pt_lease_release(lease);
	assert_int_equal(attached_id(false), 0);
	assert_int_equal(litter(), 0);
	assert_int_equal(pt_program_unpin(&veth.far, false, NULL), -ENOENT);

	must_pin(generic());
	assert_true(attached_id(true) > 0);
	p = must_open(generic());
	must_add(p, ID, 2);
	must_unpin(true);	/* by force, in use or not */
	assert_int_equal(attached_id(true), 0);
	pt_program_close(p);
	assert_int_equal(litter(), 0);
}

static void receive_pinned(void)
{
	must_add(must_open(native()), ID, 2);
}

static void test_killed_receiver_leaves_no_session(void **state)
{
	struct pt_program *p;
	struct pt_xsk *tx;
	__u64 ids[2];
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	pid = child(receive_pinned);
	p = must_open(native());	/* while it lives, its session stays */
	assert_int_equal(pt_program_sessions(p, ids, 2), 1);
	kill_hard(pid);
	must_add(p, ID + 1, 3);
	assert_int_equal(pt_program_sessions(p, ids, 2), 1);
	assert_true(ids[0] == ID + 1);
	tx = sender(0);
	send_probes(tx, 2, 200, 3);
	assert_int_equal(queue_counters(p, 0).unknown_session, 0);
	send_probes(tx, 3, 200, 3);
	assert_int_equal(queue_counters(p, 0).unknown_session, 3);
	pt_xsk_close(tx);
	pt_program_close(p);

	kill_hard(child(receive_pinned));
	pt_program_close(must_open(native()));
	must_unpin(false);
	assert_int_equal(litter(), 0);	/* not even the dead one's lock file */
}

/* The device goes and comes again under its name. */
static void test_device_recreated(void **state)
{
	struct pt_program *p;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	run("ip link del %s", veth.far.name);
	run("ip link add %s numtxqueues 2 numrxqueues 2 type veth peer name %s "
	    "numtxqueues 2 numrxqueues 2", veth.near.name, veth.far.name);
	veth_learn(&veth);
	p = must_open(native());	/* its own: the pins are dead */
	pt_program_close(p);
	assert_int_equal(attached_id(false), 0);
	must_pin(native());
	must_unpin(false);
	assert_int_equal(litter(), 0);	/* nor a record of the old device */
}

static void test_same_name_elsewhere(void **state)
{
	struct pt_program_cfg cfg = native();
	struct pt_program_info info;
	struct veth first;
	struct pt_error err;
	char path[64];
	int netns;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	first = veth;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", getpid());
	netns = open(path, O_RDONLY);
	assert_true(netns >= 0);

	veth_make(&veth, QUEUES, 1500);
	pt_program_close(must_open(native()));
	assert_int_equal(pt_program_pin(&cfg, &info, &err), -ESTALE);
	assert_non_null(strstr(err.text, "another network namespace"));
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), -ESTALE);

	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
	close(netns);
	veth = first;
	assert_true(attached_id(false) > 0);
	must_unpin(false);
	assert_int_equal(litter(), 0);
}

/* As under `ip netns exec`: another /sys, without /sys/fs/bpf. */
static int without_bpffs(void)
{
	struct pt_program_cfg cfg = native();
	struct pt_program_info info;
	struct pt_program *p;
	struct pt_error err;

	if (unshare(CLONE_NEWNS) ||
	    mount("", "/", "none", MS_SLAVE | MS_REC, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL))
		return 1;
	if (pt_program_open(&p, &cfg, &err))
		return 2;
	pt_program_info(p, &info);
	if (!info.pinned)
		return 3;
	pt_program_close(p);
	if (pt_program_pin(&cfg, &info, &err) != -ENOENT ||
	    !strstr(err.text, "nsenter"))
		return 4;
	if (pt_program_unpin(&veth.far, true, &err) != -ENOENT ||
	    !strstr(err.text, "nsenter"))
		return 5;
	return 0;
}

static void test_no_bpffs(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	pid = fork();
	if (!pid)
		_exit(without_bpffs());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	must_unpin(false);
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

/* Whatever a failed test left pinned goes. */
static int clean(void **state)
{
	(void)state;
	pt_program_unpin(&veth.far, true, NULL);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
	const struct CMUnitTest plain[] = {
		TEST(test_own_lives_with_its_process),
		TEST(test_single_buffer),
		TEST(test_too_few_queues),
		TEST(test_no_native_xdp),
		TEST(test_held_by_another),
		TEST(test_held_by_a_receiver),
		TEST(test_sessions),
		TEST(test_lane_queue),
		TEST(test_too_many_sessions),
		TEST(test_pin),
		TEST(test_killed_receiver_leaves_no_session),
		TEST(test_device_recreated),
		TEST(test_same_name_elsewhere),
		TEST(test_no_bpffs),
		TEST(test_no_privilege),
	};
	struct CMUnitTest tests[ROWS(plain) + ROWS(ledger_rows)];
	size_t cnt = 0;

	pt_cause_begin();
	for (size_t i = 0; i < ROWS(ledger_rows); i++)
		tests[cnt++] = (struct CMUnitTest){ ledger_rows[i].name,
			test_ledger, NULL, clean, (void *)&ledger_rows[i] };
	memcpy(&tests[cnt], plain, sizeof(plain));
	return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
