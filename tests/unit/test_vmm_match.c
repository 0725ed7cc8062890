// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The memory and the description of a guest, as a fake QEMU gives them. */
#include "vmm_kit.h"

/* ---------------------------------------------------------------- the memory */

static void first_word_is(const char *path, __u64 off, __u32 want)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	__u32 got = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &got, sizeof(got), off), sizeof(got));
	assert_int_equal(got, want);
	close(fd);
}

static void test_ram(void **state)
{
	struct fake f = { .version = "7, 2, 22", .then = source };
	char *ram = ram_map("memory-backend-memfd", RAM_SZ);
	char *other = ram_map("another", RAM_SZ);
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	struct pt_qemu_range *ranges;
	__u32 cnt;

	(void)state;
	*(__u32 *)ram = 77;
	/* Two pieces of the mapping are one memory. */
	assert_int_equal(madvise(ram + 4096, 4096, MADV_DONTDUMP), 0);
	if (pt_qemu_ram(q, &ranges, &cnt, &err))
		fail_msg("%s", err.text);
	assert_int_equal(cnt, 1);
	assert_string_equal(ranges[0].id, "ram");
	assert_int_equal(ranges[0].sz, RAM_SZ);
	assert_int_equal(ranges[0].addr, (uintptr_t)ram);
	assert_int_equal(ranges[0].page_sz, 4096);
	assert_int_equal(ranges[0].off, 0);
	first_word_is(ranges[0].path, 0, 77);
	free(ranges);
	munmap(ram, RAM_SZ);
	munmap(other, RAM_SZ);
	end_it(q, &f);
}

/* Two memfds of one size: the guest's address of each tells which is which. */
static void test_ram_alike(void **state)
{
	char *m0 = ram_map("memory-backend-memfd", RAM_SZ);
	char *m1 = ram_map("memory-backend-memfd", RAM_SZ);
	char hva0[128], hva1[128];
	const struct answer first[] = {
		MEMDEV(RAM("m1", "true") "," RAM("m0", "true")),
		TEXT("info mtree -f", "FlatView #0\\r\\n"
		     "  0000000000000000-0000000000000fff (prio 0, ram): m00\\r\\n"
		     "  0000000000001000-0000000000001fff (prio 0, i/o): m0\\r\\n"
		     "  0000000000002000-000000000000ffff (prio -1, ram): m0 "
		     "@0000000000002000\\r\\n"
		     "  0000000000010000-000000000001ffff (prio 0, ram): "
		     "/objects/m1\\r\\n"),
		{ "gpa2hva 0x2000", hva0 }, { "gpa2hva 0x10000", hva1 }, END
	};
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	struct pt_qemu_range *ranges;
	__u32 cnt;

	(void)state;
	snprintf(hva0, sizeof(hva0), "\"return\": \"Host virtual address for "
		 "0x2000 (m0) is %p\\r\\n\"", m0 + 0x2000);
	snprintf(hva1, sizeof(hva1), "\"return\": \"Host virtual address for "
		 "0x10000 (m1) is %p\\r\\n\"", m1);
	if (pt_qemu_ram(q, &ranges, &cnt, &err))
		fail_msg("%s", err.text);
	assert_int_equal(cnt, 2);
	assert_string_equal(ranges[0].id, "m0");
	assert_int_equal(ranges[0].addr, (uintptr_t)m0);
	assert_string_equal(ranges[1].id, "m1");
	assert_int_equal(ranges[1].addr, (uintptr_t)m1);
	free(ranges);

	/* An answer that is no mapping of a backend is not believed. */
	snprintf(hva0, sizeof(hva0), "\"return\": \"it is 0x1000\"");
	assert_int_equal(pt_qemu_ram(q, &ranges, &cnt, &err), -ESRCH);
	munmap(m0, RAM_SZ);
	munmap(m1, RAM_SZ);
	end_it(q, &f);
}

/* A file that two backends share, by a symbolic link; QEMU has it open. */
static void test_ram_file(void **state)
{
	const struct answer first[] = {
		TEXT("\"property\":\"type\"", "memory-backend-file"),
		TEXT("mem-path", SCRATCH "/link"),
		{ "\"property\":\"offset\"", "\"return\": 65536" }, END
	};
	struct fake f = {
		.version = "8, 1, 0", .first = first, .then = source,
	};
	int fd = scratch_file(SCRATCH "/file", 2 * RAM_SZ);
	char *map = mmap(NULL, 2 * RAM_SZ, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	struct pt_qemu_range *ranges;
	char path[64];
	__u32 cnt;

	(void)state;
	assert_true(map != MAP_FAILED);
	*(__u32 *)(map + RAM_SZ) = 88;
	assert_int_equal(symlink(SCRATCH "/file", SCRATCH "/link"), 0);
	if (pt_qemu_ram(q, &ranges, &cnt, &err))
		fail_msg("%s", err.text);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	assert_string_equal(ranges[0].path, path);
	assert_int_equal(ranges[0].addr, (uintptr_t)map + RAM_SZ);
	assert_int_equal(ranges[0].off, RAM_SZ);
	first_word_is(ranges[0].path, ranges[0].off, 88);
	free(ranges);
	munmap(map, 2 * RAM_SZ);
	close(fd);
	end_it(q, &f);
}

/* ----------------------------------------------------------- descriptions */

#define DEEP "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}"

static const struct match {
	const char *name, *mine, *theirs;
	int want;
	const char *words;
} matches[] = {
	{ "equal", "{\"a\":1,\"b\":{\"c\":[1]}}", "{\"b\":{\"c\":[1]},\"a\":1}",
	  0, "" },
	{ "a machine", "{\"machine\":\"pc-q35-7.2\"}",
	  "{\"machine\":\"pc-i440fx-7.2\"}", -EINVAL, "differ in machine: "
	  "\"pc-i440fx-7.2\" at the source, \"pc-q35-7.2\" at the destination" },
	{ "a device more here", "{\"devices\":{\"d\":{\"type\":\"e1000\"}}}",
	  "{\"devices\":{}}", -EINVAL, "differ in devices.d: absent at the "
	  "source, {\"type\":\"e1000\"} at the destination" },
	{ "a device more there", "{\"devices\":{}}",
	  "{\"devices\":{\"d\":{\"type\":\"e1000\"}}}", -EINVAL, "differ in "
	  "devices.d: {\"type\":\"e1000\"} at the source, absent" },
	{ "an object and a number", "{\"a\":{}}", "{\"a\":1}", -EINVAL,
	  "differ in a: 1 at the source, {}" },
	{ "a value that is no text", "{\"a\":1}", "{\"a\":\"\\u001b\\u0090\"}",
	  -EINVAL, "a: \"\\u001B\\xc2\\x90" },
	{ "no JSON", "{}", "machine", -EPROTO, "not readable" },
	{ "an array", "{}", "[]", -EPROTO, "not readable" },
	{ "nothing", "{}", "", -EPROTO, "not readable" },
	{ "too deep", "{}", DEEP, -EPROTO, "not readable" },
};

static void test_match(void **state)
{
	const struct match *row = *state;
	struct pt_error err = { 0 };

	assert_int_equal(pt_qemu_match(row->mine, row->theirs, &err),
			 row->want);
	if (!strstr(err.text, row->words))
		fail_msg("'%s' lacks '%s'", err.text, row->words);
}

static void test_match_too_long(void **state)
{
	char *text = malloc(PT_QEMU_TEXT_MAX + 1);

	(void)state;
	memset(text, ' ', PT_QEMU_TEXT_MAX);
	memcpy(text, "{}", 2);
	text[PT_QEMU_TEXT_MAX - 1] = '\0';
	assert_int_equal(pt_qemu_match("{}", text, NULL), 0);
	text[PT_QEMU_TEXT_MAX - 1] = ' ';
	text[PT_QEMU_TEXT_MAX] = '\0';
	assert_int_equal(pt_qemu_match("{}", text, NULL), -EPROTO);
	free(text);
}

static void test_describe(void **state)
{
	const struct answer first[] = {
		TEXT("\"path\":\"/machine\",\"property\":\"type\"", "m"),
		{ "query-kvm", "\"return\": {\"enabled\": true}" },
		{ "query-memory-size-summary",
		  "\"return\": {\"base-memory\": 5, \"plugged-memory\": 6}" },
		{ "query-cpus-fast", "\"return\": ["
		  "{\"qom-path\": \"/cpu0\", \"props\": {\"core-id\": 0, "
		  "\"socket-id\": 0}}, {\"qom-path\": \"/cpu1\", \"props\": "
		  "{\"core-id\": 3, \"socket-id\": 0}}]" },
		{ "feature-words", "\"return\": [{\"cpuid-register\": \"ECX\", "
		  "\"cpuid-input-eax\": 7, \"cpuid-input-ecx\": 1, "
		  "\"features\": 16}, {\"cpuid-register\": \"EDX\", "
		  "\"cpuid-input-eax\": 1, \"features\": 0}]" },
		TEXT("\"path\":\"/cpu0\",\"property\":\"type\"", "c"),
		{ "\"path\":\"/machine/peripheral\"", "\"return\": ["
		  "{\"name\": \"type\", \"type\": \"string\"}, "
		  "{\"name\": \"n0\", \"type\": \"child<e1000>\"}]" },
		{ "\"path\":\"/machine/peripheral-anon\"", "\"error\": {}" },
		TEXT("peripheral/n0\",\"property\":\"type\"", "e1000"),
		TEXT("peripheral/n0\",\"property\":\"legacy-addr\"", "02.0"),
		TEXT("peripheral/n0\",\"property\":\"parent_bus\"",
		     "/machine/i/pci.0"), END
	};
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	char *text;

	(void)state;
	if (pt_qemu_describe(q, &text, &err))
		fail_msg("%s", err.text);
	assert_string_equal(text, "{\"accelerator\":\"kvm\","
		"\"backends\":{\"ram\":65536},"
		"\"cpus\":{\"count\":2,\"features\":{\"0x7.1 ECX\":\"0x10\"},"
		"\"model\":\"c\",\"topology\":{\"core-id\":4}},"
		"\"devices\":{\"n0\":{\"addr\":\"02.0\",\"bus\":\"pci.0\","
		"\"type\":\"e1000\"}},\"machine\":\"m\","
		"\"memory\":{\"base\":5,\"plugged\":6}}");
	free(text);
	end_it(q, &f);
}

int main(void)
{
	const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_ram),
		cmocka_unit_test(test_ram_alike),
		cmocka_unit_test(test_ram_file),
		cmocka_unit_test(test_match_too_long),
		cmocka_unit_test(test_describe),
	};
	struct CMUnitTest tests[100];
	size_t test_cnt = CNT(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	ADD(matches, test_match);
	if (scratch_mount())
		return 1;
	return _cmocka_run_group_tests("vmm_match", tests, test_cnt, NULL, NULL);
}
