// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The answers of a fake QEMU, and their outcome.  tests/unit/test_qemu.c has real
 * ones. */
#include "vmm_kit.h"

/* ------------------------------------------------------------------- refused */

static const struct answer no_cap[] = {
	{ "query-migrate-capabilities", "\"return\": []" }, END
};
static const struct answer closing[] = {
	{ "query-migrate-capabilities", NULL }, END
};

static const struct opening {
	const char *name, *version;
	const struct answer *first;
	pid_t pid;
	int want;
	const char *words;
} openings[] = {
	{ "QEMU 3.1", "3, 1, 0", NULL, 0, -EOPNOTSUPP,
	  "QEMU 3.1.0 is too old" },
	{ "QEMU without x-ignore-shared", "99, 0, 0", no_cap, 0, -EOPNOTSUPP,
	  "no x-ignore-shared" },
	{ "QEMU ends", "7, 2, 22", closing, 0, -ECONNRESET, "did it end?" },
	{ "no such process", "7, 2, 22", NULL, 1 << 22, -ESRCH,
	  "no process 4194304" },
};

static void test_opening(void **state)
{
	const struct opening *row = *state;
	struct fake f = {
		.version = row->version, .first = row->first, .then = source,
	};
	struct pt_error err = { 0 };
	struct pt_qemu *q;

	fake_start(&f);
	assert_int_equal(pt_qemu_open(&q, SOCKET, row->pid, &err), row->want);
	has(&err, row->words);
	free(fake_end(&f));
}

static const struct check {
	const char *name, *version;
	const struct answer *first;
	bool is_dest;
	int want;
	const char *words;
} checks[] = {
	{ "a source is paused", "7, 2, 22", ROW(STATUS("paused", "false")),
	  false, -EINVAL, "its state is 'paused' (continue it first" },
	{ "a source has left", "7, 2, 22", ROW(STATUS("postmigrate", "false")),
	  false, -EINVAL, "has left this QEMU already" },
	{ "a source is a destination", "7, 2, 22",
	  ROW(STATUS("inmigrate", "false"), MIGRATE("setup")), false, -EINVAL,
	  "give this PATH to pagetrim receive" },
	{ "a source migrates", "7, 2, 22", ROW(MIGRATE("active")), false,
	  -EBUSY, "in state 'active'" },
	{ "a source is at its switchover", "7, 2, 22",
	  ROW(STATUS("finish-migrate", "false"), MIGRATE("pre-switchover")),
	  false, -EBUSY, "in state 'pre-switchover'" },
	{ "a device blocks", "7, 2, 22",
	  ROW({ "query-migrate\"", "\"return\": {\"blocked-reasons\": "
		"[\"Migration is disabled: ivshmem\\n\", \"x\"]}" }), false,
	  -EOPNOTSUPP, "this guest: Migration is disabled: ivshmem\\x0a, and 1 more" },
	{ "a device blocks, QEMU before 6.0", "5, 0, 0",
	  ROW({ "query-migrate\"", "\"return\": {\"blocked\": true}" }), false,
	  -EOPNOTSUPP, "does not tell which" },
	{ "a destination runs", "7, 2, 22", source, true, -EINVAL,
	  "'running' (start it with -incoming defer)" },
	{ "a destination listens itself", "7, 2, 22",
	  ROW(STATUS("inmigrate", "false"), MIGRATE("setup")), true, -EINVAL,
	  "an address of its own (start it with -incoming defer)" },
	{ "a destination listens itself, QEMU 7.2", "7, 2, 22",
	  ROW(STATUS("inmigrate", "false"), { "query-migrate\"", "\"return\": "
	      "{\"socket-address\": [{\"type\": \"inet\"}]}" }), true, -EINVAL,
	  "an address of its own" },
	{ "a destination receives", "7, 2, 22",
	  ROW(STATUS("inmigrate", "false"), MIGRATE("active")), true, -EBUSY,
	  "on its way to this QEMU" },
};

/* The begins do not look at the memory. */
static const struct check memories[] = {
	{ "memory is private", "7, 2, 22",
	  ROW(MEMDEV(RAM("a", "true") "," RAM("pc.ram", "false"))), false,
	  -EOPNOTSUPP, "'pc.ram' is private to QEMU (start QEMU with -object "
	  "memory-backend-file," },
	{ "memory has no backend", "4, 2, 0", ROW(MEMDEV("")), false,
	  -EOPNOTSUPP, "has no memory backend (start QEMU" },
	{ "a memfd since 8.1", "8, 1, 0", source, false, -EOPNOTSUPP,
	  "sends the memory 'ram' itself" },
	{ "a memfd before 8.1 that is not mapped here", "8, 0, 9", source,
	  false, -ESRCH, "is it the QEMU of this monitor?" },
	{ "a backend without an id", "7, 2, 22", ROW(MEMDEV(RAM("", "true"))),
	  false, -EPROTO, "no usable id" },
	{ "a backend of an unknown kind", "7, 2, 22",
	  ROW({ "\"property\":\"type\"", "\"error\": {}" }), false, -EPROTO,
	  "does not tell the kind" },
	{ "a disk writes by DMA", "7, 2, 22",
	  ROW({ "query-named-block-nodes", "\"return\": [{\"drv\": \"raw\"}, "
		"{\"drv\": \"virtio-blk-vhost-vdpa\"}]" }), false,
	  -EOPNOTSUPP, "driver 'virtio-blk-vhost-vdpa': its DMA" },
	{ "QEMU ends at its check", "7, 2, 22",
	  ROW({ "query-memdev", NULL }), false, -ECONNRESET,
	  "closed its monitor" },
	{ "a destination's memory is private", "7, 2, 22",
	  ROW(STATUS("inmigrate", "false"), MEMDEV(RAM("ram", "false"))), true,
	  -EOPNOTSUPP, "'ram' is private" },
};

/* Nothing is touched: only questions are asked. */
static void check(const struct check *row, bool begins)
{
	struct fake f = {
		.version = row->version, .first = row->first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	int fd = -2;
	char *log;

	assert_int_equal(row->is_dest ? pt_qemu_dest_check(q, &err) :
			 pt_qemu_source_check(q, &err), row->want);
	has(&err, row->words);
	if (begins) {
		assert_int_equal(row->is_dest ?
				 pt_qemu_dest_begin(q, &fd, NULL) :
				 pt_qemu_source_begin(q, &fd, NULL), row->want);
		assert_int_equal(fd, -2);
	}
	pt_qemu_close(q);
	log = fake_end(&f);
	for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n"))
		if (!strstr(line, "\"query-") && !strstr(line, "\"qom-get\"") &&
		    !strstr(line, "\"qmp_capabilities\""))
			fail_msg("sent: %s", line);
	free(log);
}

static void test_check(void **state)
{
	check(*state, true);
}

static void test_memory(void **state)
{
	check(*state, false);
}

static const struct link {
	const char *name;		/* the target of the link */
	bool want;
} links[] = {
	{ "/dev/vfio/vfio", true },
	{ "/dev/vfio/12", true },
	{ "/dev/vfio/devices/vfio0", true },
	{ "/dev/vhost-vdpa-0", true },
	{ "/dev/iommu", true },
	{ "anon_inode:[vfio-device]", true },
	{ "/dev/vhost-net", false },
	{ "/dev/shm/vfio", false },
	{ "anon_inode:[io_uring]", false },
	{ "anon_inode:[eventfd]", false },
	{ "", false },
};

static void test_link(void **state)
{
	const struct link *row = *state;

	assert_int_equal(pt_qemu_is_dma_link(row->name), row->want);
}

/* A file of that name stands for the device, in a /dev of this process alone. */
static void test_dma_file(void **state)
{
	struct fake f = { .version = "7, 2, 22", .then = source };
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	int fd;

	(void)state;
	assert_int_equal(pt_qemu_check_dma(q, &err), 0);
	assert_int_equal(mount("none", "/dev", "tmpfs", 0, NULL), 0);
	assert_int_equal(mkdir("/dev/vfio", 0755), 0);
	fd = open("/dev/vfio/pt-test", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pt_qemu_source_check(q, &err), -EOPNOTSUPP);
	has(&err, "to this guest, /dev/vfio/pt-test: its DMA");
	close(fd);
	assert_int_equal(umount2("/dev", MNT_DETACH), 0);
	end_it(q, &f);
}

/* ------------------------------------------------------------------ its waits */

static const struct wait {
	const char *name;
	const struct answer *first;
	int want;
	const char *words;
} waits[] = {
	{ "not yet", ROW(MIGRATE("active")), -ETIMEDOUT, NULL },
	{ "there", ROW(MIGRATE("pre-switchover")), 0, NULL },
	{ "failed", ROW({ "query-migrate\"", "\"return\": {\"status\": "
	  "\"failed\", \"error-desc\": \"no\\nway\"}" }), -EIO,
	  "failed: no\\x0away" },
	{ "failed without a reason", ROW(MIGRATE("failed")), -EIO,
	  "QEMU gives no reason" },
	{ "cancelled", ROW(MIGRATE("cancelled")), -ECANCELED,
	  "another client cancelled" },
	{ "completed too early", ROW(MIGRATE("completed")), -EIO,
	  "never was in the state 'pre-switchover'" },
	{ "QEMU ends", ROW({ "query-migrate\"", NULL }), -ECONNRESET,
	  "closed its monitor" },
};

static void test_wait(void **state)
{
	const struct wait *row = *state;
	struct fake f = {
		.version = "7, 2, 22", .first = row->first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { .text = "as it was" };

	assert_int_equal(pt_qemu_wait_stopped(q, 20, &err), row->want);
	if (row->words)
		has(&err, row->words);
	else
		assert_string_equal(err.text, "as it was");
	end_it(q, &f);
}

/* count returns how often part is in text. */
static int count(const char *text, const char *part)
{
	int cnt = 0;

	for (; (text = strstr(text, part)); text++)
		cnt++;
	return cnt;
}

/* A guest that stands for a reason of its own is left so. */
static void test_cancel_leaves_paused(void **state)
{
	const struct answer first[] = {
		STATUS("paused", "false"), MIGRATE("cancelled"), END
	};
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	char *log;

	(void)state;
	q->is_begun = true;
	assert_int_equal(pt_qemu_cancel(q, NULL), 0);
	pt_qemu_close(q);
	log = fake_end(&f);
	assert_int_equal(count(log, "\"cont\""), 0);
	assert_int_equal(count(log, "migrate_cancel"), 0);
	/* All is as it was before, and nothing else is set. */
	assert_non_null(strstr(log, "\"migrate-set-capabilities\",\"arguments\":"
		"{\"capabilities\":["
		"{\"capability\":\"x-ignore-shared\",\"state\":false},"
		"{\"capability\":\"events\",\"state\":true},"
		"{\"capability\":\"multifd\",\"state\":true}]}"));
	free(log);
}

/* A cancel goes on although QEMU is late with an answer. */
static void test_cancel_late(void **state)
{
	const struct answer first[] = { MIGRATE("cancelled"), END };
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	char *log;

	(void)state;
	q->is_begun = true;
	q->timeout_ms = 100;
	f.mute_cnt = 1;
	if (pt_qemu_cancel(q, &err))
		fail_msg("%s", err.text);
	pt_qemu_close(q);
	log = fake_end(&f);
	assert_true(count(log, "\"query-status\"") >= 2);
	assert_true(count(log, "\"cont\"") >= 1);
	free(log);
}

/* A migration that another client began is not cancelled. */
static void test_cancel_of_another(void **state)
{
	const struct answer first[] = {
		STATUS("postmigrate", "false"), MIGRATE("pre-switchover"), END
	};
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	char *log;
	int fd;

	(void)state;
	assert_int_equal(pt_qemu_source_begin(q, &fd, &err), -EBUSY);
	assert_int_equal(pt_qemu_cancel(q, &err), 0);
	pt_qemu_close(q);
	log = fake_end(&f);
	assert_int_equal(count(log, "\"cont\""), 0);
	assert_int_equal(count(log, "migrate_cancel"), 0);
	assert_int_equal(count(log, "\"migrate-set-capabilities\""), 0);
	free(log);
}

/* The capabilities of a source, and of what QEMU refuses nothing is left. */
static void test_begin_refused(void **state)
{
	const struct answer first[] = {
		{ "\"migrate\"", "\"error\": {\"desc\": \"not now\"}" }, END
	};
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	char *ram = ram_map("memory-backend-memfd", RAM_SZ), *log;
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	int fd = -2;

	(void)state;
	assert_int_equal(pt_qemu_source_begin(q, &fd, &err), -EREMOTEIO);
	has(&err, "QEMU refuses 'migrate': not now");
	assert_int_equal(fd, -2);
	pt_qemu_close(q);
	log = fake_end(&f);
	assert_non_null(strstr(log, "{\"capabilities\":["
		"{\"capability\":\"x-ignore-shared\",\"state\":true},"
		"{\"capability\":\"events\",\"state\":true},"
		"{\"capability\":\"multifd\",\"state\":false}]}"));
	assert_int_equal(count(log, "\"closefd\""), 1);
	assert_int_equal(count(log, "\"migrate-set-capabilities\""), 2);
	free(log);
	munmap(ram, RAM_SZ);
}

/* loaded: its guest runs. */
static const struct answer loaded[] = {
	MIGRATE("completed"), STATUS("running", "true"), END
};

static const struct early {
	const char *name;
	const struct answer *stopped;	/* its answers then */
	int want;
	enum pt_exit exit;
	const char *words;
} earlies[] = {
	{ "another client lets a destination run",
	  ROW(MIGRATE("completed"), STATUS("paused", "false")),
	  -EALREADY, PT_EXIT_HOST, "it was stopped" },
	{ "a destination that runs on", NULL,
	  -EINPROGRESS, PT_EXIT_UNKNOWN, "does not stop it" },
	{ "a destination that does not tell whether it runs",
	  ROW({ "query-status", NULL }),
	  -EINPROGRESS, PT_EXIT_UNKNOWN, "does not stop it" },
	{ "a destination that refuses to tell whether it runs",
	  ROW({ "query-status", "\"error\": {\"desc\": \"no\"}" }),
	  -EINPROGRESS, PT_EXIT_UNKNOWN, "does not stop it" },
};

/* A destination whose guest runs as soon as it is loaded is stopped. */
static void test_dest_runs(void **state)
{
	const struct early *row = *state;
	struct fake f = {
		.version = "7, 2, 22", .first = source, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	char *log;

	f.first = loaded;
	f.stopped = row->stopped;
	assert_int_equal(pt_qemu_dest_loaded(q, 1000, &err), row->want);
	assert_int_equal(err.exit, row->exit);
	has(&err, "before the source gave it up");
	has(&err, row->words);
	pt_qemu_close(q);
	log = fake_end(&f);
	assert_int_equal(count(log, "\"stop\""), 1);
	free(log);
}

/* A destination that cannot begin starts its guest itself again. */
static void test_dest_refused(void **state)
{
	const struct answer first[] = {
		STATUS("inmigrate", "false"),
		{ "\"migrate-incoming\"", "\"error\": {\"desc\": \"no\"}" }, END
	};
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	char *ram = ram_map("memory-backend-memfd", RAM_SZ), *log;
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	int fd;

	(void)state;
	assert_int_equal(pt_qemu_dest_begin(q, &fd, &err), -EREMOTEIO);
	has(&err, "'migrate-incoming': no (start QEMU anew, with -incoming "
	    "defer)");
	pt_qemu_close(q);
	log = fake_end(&f);
	assert_true(strstr(log, "\"stop\"") <
		    strstr(log, "\"migrate-incoming\""));
	assert_true(strstr(log, "\"migrate-incoming\"") <
		    strstr(log, "\"cont\""));
	free(log);
	munmap(ram, RAM_SZ);
}

int main(void)
{
	const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_cancel_leaves_paused),
		cmocka_unit_test(test_dma_file),
		cmocka_unit_test(test_cancel_late),
		cmocka_unit_test(test_cancel_of_another),
		cmocka_unit_test(test_begin_refused),
		cmocka_unit_test(test_dest_refused),
	};
	struct CMUnitTest tests[100];
	size_t test_cnt = CNT(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	ADD(openings, test_opening);
	ADD(checks, test_check);
	ADD(memories, test_memory);
	ADD(links, test_link);
	ADD(waits, test_wait);
	ADD(earlies, test_dest_runs);
	if (scratch_mount())
		return 1;
	return _cmocka_run_group_tests("vmm", tests, test_cnt, NULL, NULL);
}
