// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Mappings as /proc/PID/maps lists them, in files of the test's own. */
#include "scratch.h"
#include "source/process_maps.h"

static struct pt_error err;

/* maps_of reads lines. */
static int maps_of(struct pt_process_maps *m, const char *text)
{
	int fd = scratch_file(SCRATCH "/maps", 0), ret;

	scratch_write(fd, 0, text, strlen(text));
	lseek(fd, 0, SEEK_END);
	ret = pt_process_maps_read(m, fd, 7, &err);
	close(fd);
	return ret;
}

static void test_mappings_that_are_sent(void **state)
{
	struct pt_process_maps m = { 0 };

	(void)state;
	assert_int_equal(maps_of(&m,
		"1000-2000 r-xp 00000000 08:01 7  /bin/program\n"
		"2000-4000 rw-p 00001000 08:01 7  /bin/program\n"
		"5000-6000 rw-s 00000000 00:01 9  /dev/zero (deleted)\n"
		"7000-8000 rw-p 00000000 00:00 0 \n"
		"8000-9000 -w-p 00000000 00:00 0  [heap]\n"
		"9000-a000 rw-p 00000000 00:05 3  /dev/mem\n"
		"200000-400000 rw-p 00000000 00:0f 4  /anon_hugepage (deleted)\n"
		), 0);
	assert_int_equal(m.cnt, 4);
	assert_string_equal(m.all[0].seg.name, "program");
	assert_int_equal(m.all[0].seg.gfn, 2);
	assert_int_equal(m.all[0].seg.sz, 0x2000);
	assert_false(m.all[0].is_anonymous);
	assert_string_equal(m.all[1].seg.name, "anon");
	assert_true(m.all[1].is_anonymous);
	assert_string_equal(m.all[2].seg.name, "[heap]");
	assert_true(m.all[3].is_anonymous);
	/* Once more: these take the place of the others. */
	assert_int_equal(maps_of(&m, "1000-2000 rw-p 0 00:00 0 \n"), 0);
	assert_int_equal(m.cnt, 1);
	assert_int_equal(maps_of(&m, ""), -ESRCH);
	pt_process_maps_free(&m);
}

#define ANON(range)	range " rw-p 00000000 00:00 0 \n"
#define FILE_AT(range)	range " rw-p 00000000 08:01 7 /lib/x\n"

static const struct row {
	const char *name, *a, *b;
	__u64 at;
} rows[] = {
	{ "equal", ANON("1000-3000"), ANON("1000-3000"), ~0ULL },
	{ "cut", ANON("1000-3000"), ANON("1000-2000") ANON("2000-3000"), ~0ULL },
	{ "joined, and another", ANON("1000-2000") ANON("2000-3000")
	  ANON("5000-6000"), ANON("1000-3000") ANON("5000-6000"), ~0ULL },
	{ "longer", ANON("1000-3000"), ANON("1000-4000"), 0x3000 },
	{ "begins later", ANON("1000-3000"), ANON("2000-3000"), 0x1000 },
	{ "one more", ANON("1000-2000"), ANON("1000-2000") ANON("5000-6000"),
	  0x5000 },
	{ "one more before", ANON("5000-6000"), ANON("1000-2000")
	  ANON("5000-6000"), 0x1000 },
	{ "a hole", ANON("1000-4000"), ANON("1000-2000") ANON("3000-4000"),
	  0x2000 },
	{ "a file instead", ANON("1000-2000"), FILE_AT("1000-2000"), 0x1000 },
	{ "a file in the middle", ANON("1000-4000"), ANON("1000-2000")
	  FILE_AT("2000-3000") ANON("3000-4000"), 0x2000 },
	{ "files and others", FILE_AT("1000-2000") ANON("2000-3000"),
	  FILE_AT("1000-2000") ANON("2000-3000"), ~0ULL },
};

/* Each row holds in both directions. */
static void test_row(void **state)
{
	const struct row *row = *state;
	struct pt_process_maps a = { 0 }, b = { 0 };

	assert_int_equal(maps_of(&a, row->a), 0);
	assert_int_equal(maps_of(&b, row->b), 0);
	assert_int_equal(pt_process_maps_differ(&a, &b), row->at);
	assert_int_equal(pt_process_maps_differ(&b, &a), row->at);
	pt_process_maps_free(&a);
	pt_process_maps_free(&b);
}

#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
	struct CMUnitTest tests[1 + ROWS] = {
		cmocka_unit_test(test_mappings_that_are_sent),
	};

	for (size_t i = 0; i < ROWS; i++)
		tests[1 + i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
