// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The receive program's verdict on each row of frames/rows.h. */
#include "../frames/rows.h"
#include "program.h"

static struct program program;

/* A session is counted once its frame header is known to be sound. */
static bool counts_session(enum pt_verdict verdict)
{
	return verdict == PT_VERDICT_STEERED ||
	       verdict == PT_VERDICT_BAD_RECORD;
}

static void test_row(void **state)
{
	const struct row *row = *state;
	static struct frame f;
	struct outcome o;

	row_build(row, &f);
	o = program_run(&program, &f, 0);
	assert_verdict(row->name, o.verdict, row->want);
	assert_int_equal(o.session_counted, counts_session(row->want));
}

#define COUNT(list)	+ SHAPE_CNT_OF(list)

static int group_setup(void **state)
{
	(void)state;
	return program_open_usual(&program);
}

static int group_teardown(void **state)
{
	(void)state;
	program_close(&program);
	return 0;
}

int main(void)
{
	static struct CMUnitTest tests[0 ROW_LISTS(COUNT)];
	size_t cnt = 0;

#define ADD(list)							\
	for (size_t i = 0; i < SHAPE_CNT_OF(list); i++)			\
		tests[cnt++] = (struct CMUnitTest){			\
			.name = list[i].name,				\
			.test_func = test_row,				\
			.initial_state = (void *)&list[i],		\
		};
	ROW_LISTS(ADD)
	return cmocka_run_group_tests_name("verdicts", tests, group_setup,
					   group_teardown);
}
