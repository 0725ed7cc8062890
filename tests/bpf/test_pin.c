// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The receive program pinned: several receivers share it, it outlives them,
 * disturbs no other program, and detach removes it without a trace. */
#include "receiver.h"
#include "pagetrim.skel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "xdp/cause.h"
#include "xdp/lease.h"

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

static void test_pin(void **state)
{
	static const char *const names[] = { "prog", "link", "pt_endpoints",
		"pt_sessions", "pt_xsks", "pt_queue_counters",
		"pt_session_counters" };
	struct pt_program_cfg cfg = native();
	struct pt_program_info info, second;
	struct pt_program *p, *q;
	struct pt_leases *leases;
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
	assert_int_equal(pt_leases_open(&leases, &veth.far, NULL), 0);
	assert_int_equal(pt_lease_take(&lease, leases, 1, "receive", NULL), 0);
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), -EBUSY);
	assert_non_null(strstr(err.text, path));
	pt_lease_release(lease);
	assert_int_equal(pt_lease_take(&lease, leases, 1, "send", NULL), 0);
	must_unpin(false);
	pt_lease_release(lease);
	pt_leases_close(leases);
	assert_int_equal(attached_soon(false), 0);
	assert_int_equal(litter(), 0);
	assert_int_equal(pt_program_unpin(&veth.far, false, NULL), -ENOENT);

	must_pin(generic());
	assert_true(attached_id(true) > 0);
	p = must_open(generic());
	must_add(p, ID, 2);
	must_unpin(true);	/* by force, in use or not */
	assert_int_equal(attached_soon(true), 0);
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
	assert_int_equal(litter(), 0);	/* not even the dead receiver's lock
					 * file */
}

/* The device is removed and made again under its name. */
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
	assert_int_equal(attached_soon(false), 0);
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

static void pin_as(const char *name, int fd)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s/%s", PT_PIN_ROOT, veth.far.name,
		 name);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
}

/* attach_of_rules attaches and pins, as pagetrim attach does, a program that
 * states these rules; 0: one without a statement.  Returns its id. */
static __u32 attach_of_rules(__u32 rules)
{
	struct pagetrim_bpf *skel = pagetrim_bpf__open();
	struct bpf_link *link;
	struct bpf_map *map;
	char path[128];

	assert_non_null(skel);
	skel->rodata->pt_constants.rules = rules;
	if (!rules)
		bpf_map__set_autocreate(skel->maps.rodata, false);
	assert_int_equal(bpf_object__load(skel->obj), 0);
	link = bpf_program__attach_xdp(skel->progs.pagetrim, veth.far.ifindex);
	assert_int_equal(libbpf_get_error(link), 0);

	mkdir(PT_PIN_ROOT, 0700);
	snprintf(path, sizeof(path), "%s/%s", PT_PIN_ROOT, veth.far.name);
	assert_int_equal(mkdir(path, 0700), 0);
	bpf_object__for_each_map(map, skel->obj)
		if (!bpf_map__is_internal(map))
			pin_as(bpf_map__name(map), bpf_map__fd(map));
	pin_as("prog", bpf_program__fd(skel->progs.pagetrim));
	pin_as("link", bpf_link__fd(link));
	bpf_link__destroy(link);
	pagetrim_bpf__destroy(skel);
	return attached_id(false);
}

/* A program that would drop frames of this version is not used, even with equal
 * maps, and can be detached; a program that accepts more is used. */
static void test_rules(void **state)
{
	static const struct {
		__u32 rules;
		bool is_fine;
	} rows[] = {
		{ 0, false },
		{ 2, false },		/* takes frames of version 1 alone */
		{ PT_RULES - 1, false },
		{ PT_RULES, true },
		{ PT_RULES + 1, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pt_program_cfg cfg = native();
		struct pt_program_info info;
		struct pt_program *p;
		struct pt_error err;
		__u32 id;

		veth_make(&veth, QUEUES, 1500);
		id = attach_of_rules(rows[i].rules);
		assert_true(id > 0);
		assert_int_equal(pt_program_pin(&cfg, &info, &err), -EEXIST);
		assert_int_equal(!strstr(err.text, "another version"),
				 rows[i].is_fine);
		if (rows[i].is_fine)
			pt_program_close(must_open(native()));
		else
			refused(native(), -ESTALE, "another version");
		if (!rows[i].is_fine)
			assert_int_equal(pt_program_peek(&p, &veth.far, NULL),
					 -ESTALE);
		assert_int_equal(attached_id(false), id);
		must_unpin(false);
		assert_int_equal(attached_soon(false), 0);
		assert_int_equal(litter(), 0);
	}
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
	/* There the living users would be invisible. */
	if (pt_program_open(&p, &cfg, &err) != -ENOENT ||
	    !strstr(err.text, "nsenter"))
		return 2;
	if (pt_program_peek(&p, &veth.far, &err))
		return 3;
	pt_program_info(p, &info);
	pt_program_close(p);
	if (!info.pinned)
		return 3;
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

/* As in a container with its own /run: opens the pinned program, adds a session
 * and closes it again. */
static int with_another_run(void)
{
	struct pt_session session = session_to(3);
	struct pt_program_cfg cfg = native();
	struct pt_program *p;
	__u64 ids[3];

	if (unshare(CLONE_NEWNS) ||
	    mount("", "/", "none", MS_SLAVE | MS_REC, NULL) ||
	    mount("none", "/run", "tmpfs", 0, NULL))
		return 1;
	if (pt_program_open(&p, &cfg, NULL))
		return 2;
	if (pt_program_session_add(p, ID + 1, &session, NULL))
		return 3;
	if (pt_program_sessions(p, ids, 3) != 2)
		return 4;
	if (pt_program_session_pid(p, ID) != getppid())
		return 5;
	pt_program_close(p);
	return 0;
}

/* A living user is visible where the maps are. */
static void test_another_run(void **state)
{
	struct pt_program *p;
	struct pt_error err;
	__u64 ids[2];
	int status;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	p = must_open(native());
	must_add(p, ID, 2);
	pid = fork();
	if (!pid)
		_exit(with_another_run());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(pt_program_sessions(p, ids, 2), 1);
	assert_true(ids[0] == ID);
	/* no lease, and not even a session: it is in use all the same */
	pt_program_session_remove(p, ID);
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), -EBUSY);
	pt_program_close(p);
	must_unpin(false);
	assert_int_equal(litter(), 0);
}

/* A stopped process lives. */
static void test_stopped_receiver(void **state)
{
	struct pt_program *p;
	__u64 ids[2];
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	pid = child(receive_pinned);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	p = must_open(native());
	assert_int_equal(pt_program_sessions(p, ids, 2), 1);
	assert_int_equal(pt_program_session_pid(p, ID), pid);
	kill_hard(pid);
	assert_int_equal(pt_program_session_pid(p, ID), 0);
	pt_program_close(p);
	pt_program_close(must_open(native()));
	must_unpin(false);
	assert_int_equal(litter(), 0);
}

/* detach works by any name that the device has or had. */
static void test_renamed(void **state)
{
	struct pt_program_cfg cfg = native();
	struct pt_device device, old;
	struct pt_program_info info;
	struct pt_program *p;
	struct pt_error err;
	char path[128];

	(void)state;
	for (int by_old = 0; by_old < 2; by_old++) {
		veth_make(&veth, QUEUES, 1500);
		old = veth.far;
		info = must_pin(native());
		run("ip link set %s name ptt-other", veth.far.name);
		assert_int_equal(pt_program_device(&device, veth.far.name,
						   &err), 0);
		assert_string_equal(device.name, "ptt-other");
		assert_int_equal(device.ifindex, veth.far.ifindex);
		veth.far = device;
		assert_int_equal(pt_program_pin(&cfg, &info, &err), -EEXIST);
		p = must_open(native());
		must_add(p, ID, 2);
		assert_int_equal(pt_program_unpin(&veth.far, false, &err),
				 -EBUSY);
		pt_program_close(p);

		/* another one has the name now */
		run("ip link add %s type veth peer name ptt-more", old.name);
		assert_int_equal(pt_program_device(&device, old.name, &err), 0);
		assert_true(device.ifindex != veth.far.ifindex);
		assert_int_equal(pt_program_unpin(&device, true, &err),
				 -ESTALE);
		assert_non_null(strstr(err.text, "detach --dev ptt-other"));
		cfg.device = &device;
		assert_int_equal(pt_program_pin(&cfg, &info, &err), -ESTALE);
		assert_non_null(strstr(err.text, "detach --dev ptt-other"));
		run("ip link del %s", old.name);

		if (by_old)
			assert_int_equal(pt_program_device(&veth.far, old.name,
							   &err), 0);
		must_unpin(false);
		assert_int_equal(attached_soon(false), 0);
		snprintf(path, sizeof(path), "%s/%s", PT_PIN_ROOT, old.name);
		assert_int_equal(access(path, F_OK), -1);
	}
}

/* A device that is gone, known by its pins only. */
static void test_gone(void **state)
{
	struct pt_device device;
	struct pt_program *p;
	struct pt_error err;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	run("ip link del %s", veth.far.name);
	assert_int_equal(pt_program_device(&device, veth.far.name, &err), 0);
	assert_int_equal(device.ifindex, 0);
	assert_int_equal(pt_program_peek(&p, &device, &err), -ENODEV);
	assert_non_null(strstr(err.text, "detach --dev"));
	assert_int_equal(pt_program_unpin(&device, false, &err), 0);
	assert_int_equal(litter(), 0);
	assert_int_equal(pt_program_device(&device, veth.far.name, &err),
			 -ENODEV);
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
		TEST(test_pin),
		TEST(test_killed_receiver_leaves_no_session),
		TEST(test_device_recreated),
		TEST(test_same_name_elsewhere),
		TEST(test_rules),
		TEST(test_no_bpffs),
		TEST(test_another_run),
		TEST(test_stopped_receiver),
		TEST(test_renamed),
		TEST(test_gone),
	};

	pt_cause_begin();
	return cmocka_run_group_tests_name("pin", tests, NULL, NULL);
}
