// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A real QEMU drains the I/O of its disks. */
#include "qemu_kit.h"

#include "qmp/json.h"

#define DELAY_NS "2000000000"	/* of each operation of the slow disk */

static const char *const disks[] = {
	"-blockdev", "driver=null-aio,size=1048576,node-name=slow,latency-ns="
	DELAY_NS, "-device", "virtio-blk-pci,drive=slow,id=slow0",
	"-blockdev", "driver=null-aio,size=1048576,node-name=quick",
	"-device", "virtio-blk-pci,drive=quick,id=quick0", NULL,
};

static struct vm vm;
static struct pt_qemu *q;

/* begin_read has the device begin to read; it does not wait. */
static void begin_read(const char *device)
{
	struct pt_error err = { 0 };
	char line[128];
	json_t *said;

	snprintf(line, sizeof(line), "qemu-io -d /machine/peripheral/%s/"
		 "virtio-backend \"aio_read -q 0 4096\"", device);
	ok(pt_qemu_do(q, "human-monitor-command",
		      json_pack("{s:s}", "command-line", line), &said, &err),
	   &err);
	assert_string_equal(json_string_value(said), "");
	json_decref(said);
}

/* read_cnt returns how many reads of all disks have ended. */
static json_int_t read_cnt(void)
{
	struct pt_error err = { 0 };
	json_t *rows, *row;
	json_int_t cnt = 0;
	size_t i;

	ok(pt_qemu_do(q, "query-blockstats", NULL, &rows, &err), &err);
	json_array_foreach(rows, i, row)
		cnt += json_integer_value(json_object_get(
			json_object_get(row, "stats"), "rd_operations"));
	json_decref(rows);
	return cnt;
}

/* is_known: QEMU drains; of other versions that is not known. */
static bool is_known(void)
{
	struct pt_qmp_version v = pt_qmp_version(q->qmp);

	return (v.major == 7 && v.minor == 2) ||
	       (v.major == 10 && v.minor == 0);
}

/* drain: a QEMU of which it is not known is not asked to. */
static void drain(void)
{
	struct pt_error err = { 0 };
	int code = pt_qemu_drain(q, &err);

	if (is_known()) {
		ok(code, &err);
		return;
	}
	assert_int_equal(code, -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "not known to drain"));
}

static void test_no_io(void **state)
{
	(void)state;
	drain();
	run_is(q, "running");
}

static void test_in_flight(void **state)
{
	(void)state;
	begin_read("slow0");
	begin_read("quick0");
	drain();
	if (is_known())
		assert_int_equal(read_cnt(), 2);
	run_is(q, "running");
}

/* By now a read of the slow disk takes too long, on average. */
static void test_slow_disk(void **state)
{
	struct pt_error err = { 0 };
	__u64 began_ns;

	(void)state;
	begin_read("slow0");
	began_ns = pt_clock_ns();
	assert_int_equal(pt_qemu_drain(q, &err), -EOPNOTSUPP);
	if (is_known() && pt_clock_ns() - began_ns < 1000000000)
		assert_int_equal(read_cnt(), 2);	/* it was not waited for */
	run_is(q, "running");
}

static int setup(void **state)
{
	(void)state;
	vm_start(&vm, "source", disks);
	q = vm_open(&vm, vm.qmp);
	run_comes(q, "running");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pt_qemu_close(q);
	vm_end(&vm);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_io),
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_slow_disk),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
