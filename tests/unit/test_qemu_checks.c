// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Real QEMUs whose guests cannot move, and where their memory is. */
#include <endian.h>
#include "qemu_kit.h"

#define DIMM(id, kind) \
	"-object", "memory-backend-" kind ",id=" id ",size=16M", \
	"-device", "pc-dimm,memdev=" id ",id=dimm-" id
#define SLOTS "-m", "slots=2,maxmem=1G"

static const char *const plain[] = { NULL };
static const char *const nvme[] = { "-device", "nvme,serial=1", NULL };
static const char *const private[] = { SLOTS, DIMM("own", "ram"), NULL };
static const char *const listens[] = { "-incoming", "tcp:127.0.0.1:0", NULL };
static const char *const memfds[] = {
	SLOTS, DIMM("m0", "memfd,share=on"), DIMM("m1", "memfd,share=on"), NULL
};

static void has(const struct pt_error *err, const char *words)
{
	if (!strstr(err->text, words))
		fail_msg("'%s' lacks '%s'", err->text, words);
}

static void test_device_blocks(void **state)
{
	struct pt_error err = { 0 };
	struct pt_qemu *q, *other;
	struct vm vm, like;
	char *mine, *theirs;

	(void)state;
	vm_start(&vm, "nvme", nvme);
	vm_start(&like, "plain", plain);
	q = vm_open(&vm, vm.qmp);
	other = vm_open(&like, like.qmp);
	run_comes(q, "running");
	if (pt_qmp_version(q->qmp).major < 11) {
		assert_int_equal(pt_qemu_source_check(q, &err), -EOPNOTSUPP);
		has(&err, "a device blocks the migration of this guest: ");
		has(&err, "nvme");
	} else {	/* it migrates this device */
		ok(pt_qemu_source_check(q, &err), &err);
	}

	/* The same two differ in this device. */
	ok(pt_qemu_describe(q, &theirs, &err), &err);
	ok(pt_qemu_describe(other, &mine, &err), &err);
	assert_int_equal(pt_qemu_match(mine, theirs, &err), -EINVAL);
	has(&err, "the guests differ in devices.device[0]: {");
	has(&err, "\"nvme\"} at the source, absent at the destination");
	free(mine);
	free(theirs);
	pt_qemu_close(q);
	pt_qemu_close(other);
	vm_end(&vm);
	vm_end(&like);
}

static void test_memory_is_private(void **state)
{
	struct pt_error err = { 0 };
	struct pt_qemu *q;
	struct vm vm;

	(void)state;
	vm_start(&vm, "private", private);
	q = vm_open(&vm, vm.qmp);
	run_comes(q, "running");
	assert_int_equal(pt_qemu_source_check(q, &err), -EOPNOTSUPP);
	has(&err, "the guest's memory 'own' is private to QEMU");
	pt_qemu_close(q);
	vm_end(&vm);
}

static void test_listens_itself(void **state)
{
	struct pt_error err = { 0 };
	struct pt_qemu *q, *second;
	struct vm vm;

	(void)state;
	vm_start(&vm, "listens", listens);
	q = vm_open(&vm, vm.qmp);
	assert_int_equal(pt_qemu_dest_check(q, &err), -EINVAL);
	has(&err, "an address of its own (start it with -incoming defer)");
	assert_int_equal(pt_qemu_source_check(q, &err), -EINVAL);
	has(&err, "give this PATH to pagetrim receive");

	assert_int_equal(pt_qemu_open(&second, vm.qmp, 0, &err), -EBUSY);
	has(&err, "another client has this monitor");
	pt_qemu_close(q);
	vm_end(&vm);
}

/* word_is: the guest has this word at its address. */
static void word_is(struct pt_qemu *q, __u64 gpa, const char *want)
{
	char command[64], *answer;

	snprintf(command, sizeof(command), "xp /1xw 0x%llx",
		 (unsigned long long)gpa);
	answer = pt_qemu_text(q, "human-monitor-command", json_pack(
		"{s:s}", "command-line", command));
	if (!answer || !strstr(answer, want))
		fail_msg("'%s' lacks '%s'", answer, want);
	free(answer);
}

static void word_put(const struct pt_qemu_range *r, __u32 word)
{
	int fd = open(r->path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	word = htole32(word);	/* as the guest, an x86, reads it */
	scratch_write(fd, r->off + 4096, &word, sizeof(word));
	close(fd);
}

/* Two memories that differ in nothing but in their place: the guest sees in each
 * the word that was written to its file. */
static void test_memfds(void **state)
{
	struct pt_error err = { 0 };
	struct pt_qemu_range *ranges;
	struct pt_qmp_version v;
	struct pt_qemu *q;
	struct vm vm;
	__u32 cnt;
	int code;

	(void)state;
	vm_start(&vm, "memfds", memfds);
	q = vm_open(&vm, vm.qmp);
	v = pt_qmp_version(q->qmp);
	code = pt_qemu_ram(q, &ranges, &cnt, &err);
	if (v.major > 8 || (v.major == 8 && v.minor >= 1)) {
		assert_int_equal(code, -EOPNOTSUPP);
		has(&err, "(8.1 or newer) sends the memory 'm");
	} else {
		ok(code, &err);
		assert_int_equal(cnt, 3);
		assert_string_equal(ranges[0].id, "m0");
		assert_string_equal(ranges[1].id, "m1");
		assert_string_equal(ranges[2].id, "ram");
		word_put(&ranges[0], 0xaaaa0000);
		word_put(&ranges[1], 0xbbbb1111);
		word_is(q, (4ULL << 30) + 4096, "0xaaaa0000");
		word_is(q, (4ULL << 30) + (16 << 20) + 4096, "0xbbbb1111");
		free(ranges);
	}
	pt_qemu_close(q);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_device_blocks),
		cmocka_unit_test(test_memory_is_private),
		cmocka_unit_test(test_listens_itself),
		cmocka_unit_test(test_memfds),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
