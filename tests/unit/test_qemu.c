// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A guest moves between two real QEMUs, or does not, and runs once. */
#include "qemu_kit.h"

#define DISK SCRATCH "/disk"

/* The source of all cases: each ends with its guest running. */
static struct vm source;
static struct pt_qemu *look;	/* its second monitor */

static const char *const alone[] = {
	"-blockdev", "driver=file,filename=" DISK ",node-name=disk",
	"-device", "virtio-blk-pci,drive=disk,id=disk0", NULL,
};

static const char *const waiting[] = {
	"-blockdev", "driver=file,filename=" DISK ",node-name=disk",
	"-device", "virtio-blk-pci,drive=disk,id=disk0", "-incoming", "defer",
	NULL,
};

static const char *const without_disk[] = { "-incoming", "defer", NULL };

enum stage { BEGUN, STOPPED, CONTINUED, COMPLETED };

/* move: one migration, as far as a case takes it. */
struct move {
	struct pt_qemu *source, *dest;
	struct pump pump;
	int fd;			/* of the source's stream, without a pump */
	struct vm vm;		/* the destination, if there is one */
};

/* dest_start starts a destination; its stream is returned. */
static int dest_start(struct move *m, const char *const *args)
{
	struct pt_error err = { 0 };
	int fd;

	vm_start(&m->vm, "dest", args);
	m->dest = vm_open(&m->vm, m->vm.qmp);
	ok(pt_qemu_dest_begin(m->dest, &fd, &err), &err);
	run_is(m->dest, "inmigrate");
	return fd;
}

static void dest_end(struct move *m)
{
	pt_qemu_close(m->dest);
	vm_end(&m->vm);
}

/* move_to takes the migration to a stage.  A stage before COMPLETED needs no
 * destination.  The stream of BEGUN and CONTINUED is not read, so that the
 * migration stays there. */
static void move_to(struct move *m, enum stage stage)
{
	struct pt_error err = { 0 };
	int to = -1;

	if (stage == COMPLETED)
		to = dest_start(m, waiting);
	ok(pt_qemu_source_begin(m->source, &m->fd, &err), &err);
	m->pump.to = -2;
	if (stage == BEGUN)
		return;
	pump_start(&m->pump, m->fd, to);
	ok(pt_qemu_wait_stopped(m->source, WAIT_MS, &err), &err);
	run_is(m->source, "finish-migrate");
	if (stage == STOPPED)
		return;
	if (to >= 0)
		copy_ram(m->source, m->dest);
	ok(pt_qemu_continue(m->source, &err), &err);
	if (stage == CONTINUED) {
		ok(pt_qemu_wait(m->source, "device", WAIT_MS, &err), &err);
		return;
	}
	ok(pt_qemu_wait_completed(m->source, WAIT_MS, &err), &err);
	ok(pt_qemu_dest_loaded(m->dest, WAIT_MS, &err), &err);
}

static void move_end(struct move *m)
{
	if (m->pump.to == -2)
		close(m->fd);
	else
		pump_end(&m->pump);
}

static char *registers(struct pt_qemu *q)
{
	char *text = pt_qemu_text(q, "human-monitor-command", json_pack(
		"{s:s}", "command-line", "info registers"));

	assert_non_null(text);
	return text;
}

/* capabilities_are: none is left that we set. */
static void capabilities_are_reset(struct pt_qemu *q)
{
	struct pt_error err = { 0 };
	json_t *all, *row;
	size_t i;

	ok(pt_qemu_do(q, "query-migrate-capabilities", NULL, &all, &err),
	   &err);
	json_array_foreach(all, i, row)
		if (json_is_true(json_object_get(row, "state")))
			fail_msg("%s is left on", json_string_value(
				json_object_get(row, "capability")));
	json_decref(all);
}

/* runs_with_disk: the guest runs, and its QEMU has the locks of the disk's file
 * again: it would not survive a write of the guest without. */
static void runs_with_disk(struct pt_qemu *q)
{
	struct stat st;
	char line[256], mark[64];
	bool found = false;
	FILE *in = fopen("/proc/locks", "r");

	run_is(q, "running");
	assert_int_equal(stat(DISK, &st), 0);
	snprintf(mark, sizeof(mark), ":%llu ", (unsigned long long)st.st_ino);
	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		found |= strstr(line, "OFDLCK") && strstr(line, mark);
	fclose(in);
	assert_true(found);
}

/* ------------------------------------------------------------- the whole way */

static void test_moves(void **state)
{
	struct pt_error err = { 0 };
	struct pt_qemu_guard *guard;
	struct move m = { 0 };
	char *mine, *theirs, *before, *after;

	(void)state;
	m.source = vm_open(&source, source.qmp);
	ok(pt_qemu_source_check(m.source, &err), &err);
	ok(pt_qemu_guard_start(&guard, m.source, &err), &err);
	move_to(&m, COMPLETED);

	run_comes(m.source, "postmigrate");
	run_is(m.dest, "paused");
	ok(pt_qemu_describe(m.dest, &mine, &err), &err);
	ok(pt_qemu_describe(m.source, &theirs, &err), &err);
	ok(pt_qemu_match(mine, theirs, &err), &err);
	free(mine);
	free(theirs);
	before = registers(m.source);
	after = registers(m.dest);
	assert_string_equal(before, after);
	free(before);
	free(after);

	assert_int_equal(pt_qemu_guard_commit(guard), 0);
	ok(pt_qemu_run(m.dest, &err), &err);
	run_is(m.dest, "running");
	pt_qemu_guard_release(guard);
	run_is(m.source, "postmigrate");
	ok(pt_qemu_run(m.dest, &err), &err);
	move_end(&m);
	pt_qemu_close(m.source);
	m.source = vm_open(&source, source.qmp);
	capabilities_are_reset(m.source);
	capabilities_are_reset(m.dest);

	/* Its way back, so that the source serves the next case. */
	ok(pt_qemu_quit(m.dest, &err), &err);
	waitpid(m.vm.pid, NULL, 0);
	pt_qemu_close(m.dest);
	m.source->is_begun = true;	/* before it was opened anew */
	ok(pt_qemu_cancel(m.source, &err), &err);
	runs_with_disk(m.source);
	pt_qemu_close(m.source);
}

/* ----------------------------------------------------------------- cancelled */

static void cancel_at(enum stage stage)
{
	struct pt_error err = { 0 };
	struct move m = { 0 };

	m.source = vm_open(&source, source.qmp);
	move_to(&m, stage);
	ok(pt_qemu_cancel(m.source, &err), &err);
	runs_with_disk(m.source);
	run_is(look, "running");
	if (stage == COMPLETED) {
		run_is(m.dest, "paused");
		dest_end(&m);
	}
	capabilities_are_reset(m.source);
	move_end(&m);
	pt_qemu_close(m.source);
}

static void test_cancel_active(void **state)
{
	(void)state;
	cancel_at(BEGUN);
}

static void test_cancel_pre_switchover(void **state)
{
	(void)state;
	cancel_at(STOPPED);
}

static void test_cancel_device(void **state)
{
	(void)state;
	cancel_at(CONTINUED);
}

static void test_cancel_completed(void **state)
{
	(void)state;
	cancel_at(COMPLETED);
}

/* The destination is lost while it loads: QEMU fails, and the guest is back. */
static void test_stream_breaks(void **state)
{
	struct pt_error err = { 0 };
	struct move m = { 0 };
	int code;

	(void)state;
	m.source = vm_open(&source, source.qmp);
	move_to(&m, CONTINUED);
	pump_end(&m.pump);
	code = pt_qemu_wait_completed(m.source, WAIT_MS, &err);
	assert_int_equal(code, -EIO);
	ok(pt_qemu_cancel(m.source, &err), &err);
	runs_with_disk(m.source);
	pt_qemu_close(m.source);
}

/* The destination cannot load the state: it ends, and the guest is back. */
static void test_load_fails(void **state)
{
	struct pt_error err = { 0 };
	struct move m = { 0 };
	int to, code;

	(void)state;
	m.source = vm_open(&source, source.qmp);
	to = dest_start(&m, without_disk);
	ok(pt_qemu_source_begin(m.source, &m.fd, &err), &err);
	pump_start(&m.pump, m.fd, to);
	ok(pt_qemu_wait_stopped(m.source, WAIT_MS, &err), &err);
	copy_ram(m.source, m.dest);
	ok(pt_qemu_continue(m.source, &err), &err);

	code = pt_qemu_dest_loaded(m.dest, WAIT_MS, &err);
	assert_true(code == -ECONNRESET || code == -EIO);
	dest_end(&m);
	pump_end(&m.pump);	/* as the agents do once one end is lost */
	assert_int_equal(pt_qemu_wait_completed(m.source, WAIT_MS, &err),
			 -EIO);
	ok(pt_qemu_cancel(m.source, &err), &err);
	runs_with_disk(m.source);
	pt_qemu_close(m.source);
}

/* ------------------------------------------------------ killed, with a guard */

/* agent_main is the process that is killed: it goes to the stage and ends. */
static void agent_main(enum stage stage, void (*last)(struct move *,
						      struct pt_qemu_guard *))
{
	struct pt_error err = { 0 };
	struct pt_qemu_guard *guard;
	struct move m = { 0 };

	m.source = vm_open(&source, source.qmp);
	ok(pt_qemu_guard_start(&guard, m.source, &err), &err);
	move_to(&m, stage);
	if (last)
		last(&m, guard);
	kill(getpid(), SIGKILL);
}

static void kill_at(enum stage stage,
		    void (*last)(struct move *, struct pt_qemu_guard *))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		agent_main(stage, last);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* comes_back: the guest runs, and the guard ends, which frees the monitor. */
static void comes_back(void)
{
	struct pt_qemu *q;

	run_comes(look, "running");
	q = vm_open(&source, source.qmp);
	runs_with_disk(q);
	capabilities_are_reset(q);
	pt_qemu_close(q);
}

static void test_killed_active(void **state)
{
	(void)state;
	kill_at(BEGUN, NULL);
	comes_back();
}

static void test_killed_pre_switchover(void **state)
{
	(void)state;
	kill_at(STOPPED, NULL);
	comes_back();
}

static void test_killed_device(void **state)
{
	(void)state;
	kill_at(CONTINUED, NULL);
	comes_back();
}

static void test_killed_completed(void **state)
{
	(void)state;
	kill_at(COMPLETED, NULL);
	comes_back();
}

static void half_a_command(struct move *m, struct pt_qemu_guard *guard)
{
	static const char half[] = "{\"execute\":\"stop\",\"arguments\":{";

	(void)guard;
	assert_int_equal(write(pt_qmp_fd(m->source->qmp), half,
			       sizeof(half) - 1), sizeof(half) - 1);
}

static void test_killed_in_a_command(void **state)
{
	(void)state;
	kill_at(STOPPED, half_a_command);
	comes_back();
}

/* half_a_reply leaves the rest of a long reply unread. */
static void half_a_reply(struct move *m, struct pt_qemu_guard *guard)
{
	static const char long_one[] = "{\"execute\":\"query-qmp-schema\"}\n";
	struct pollfd poll_fd = {
		.fd = pt_qmp_fd(m->source->qmp), .events = POLLIN,
	};
	char part[1000];

	(void)guard;
	assert_int_equal(write(poll_fd.fd, long_one, sizeof(long_one) - 1),
			 sizeof(long_one) - 1);
	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	assert_true(read(poll_fd.fd, part, sizeof(part)) > 0);
}

static void test_killed_in_a_reply(void **state)
{
	(void)state;
	kill_at(STOPPED, half_a_reply);
	comes_back();
}

static void commit_it(struct move *m, struct pt_qemu_guard *guard)
{
	(void)m;
	assert_int_equal(pt_qemu_guard_commit(guard), 0);
}

/* COMMIT may have been sent: the guard ends and leaves the source paused. */
static void test_killed_after_commit(void **state)
{
	struct pt_error err = { 0 };
	struct pt_qemu *q;

	(void)state;
	kill_at(COMPLETED, commit_it);
	q = vm_open(&source, source.qmp);	/* the guard has ended */
	run_comes(q, "postmigrate");
	capabilities_are_reset(q);
	q->is_begun = true;	/* by the agent that was killed */
	ok(pt_qemu_cancel(q, &err), &err);
	runs_with_disk(q);
	pt_qemu_close(q);
}

static int setup(void **state)
{
	(void)state;
	close(scratch_file(DISK, 1 << 20));
	vm_start(&source, "source", alone);
	look = vm_open(&source, source.look);
	run_comes(look, "running");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pt_qemu_close(look);
	vm_end(&source);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_cancel_active),
		cmocka_unit_test(test_cancel_pre_switchover),
		cmocka_unit_test(test_cancel_device),
		cmocka_unit_test(test_cancel_completed),
		cmocka_unit_test(test_stream_breaks),
		cmocka_unit_test(test_load_fails),
		cmocka_unit_test(test_killed_active),
		cmocka_unit_test(test_killed_pre_switchover),
		cmocka_unit_test(test_killed_device),
		cmocka_unit_test(test_killed_completed),
		cmocka_unit_test(test_killed_in_a_command),
		cmocka_unit_test(test_killed_in_a_reply),
		cmocka_unit_test(test_killed_after_commit),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
