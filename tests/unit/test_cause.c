/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* libbpf's messages: kept for the thread that holds them, passed to every other
 * thread's printer, and that printer is restored afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include <bpf/libbpf.h>
#include "xdp/cause.h"

static unsigned int told_cnt;

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)fmt;
	(void)args;
	told_cnt += level == LIBBPF_WARN;
	return 0;
}

static int print_other(enum libbpf_print_level level, const char *fmt,
		       va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

/* complain has libbpf print a warning. */
static void *complain(void *arg)
{
	assert_null(bpf_object__open_file("/dev/null", NULL));
	return arg;
}

static void printer_is_back(void **state)
{
	pthread_t other;

	(void)state;
	libbpf_set_print(print);
	complain(NULL);
	assert_int_equal(told_cnt, 1);

	pt_cause_hold();
	pt_cause_hold();
	pt_cause_begin();
	assert_string_equal(pt_cause_text(), "");
	complain(NULL);
	assert_int_equal(told_cnt, 1);
	assert_non_null(strstr(pt_cause_text(), "/dev/null"));
	pthread_create(&other, NULL, complain, NULL);
	pthread_join(other, NULL);
	assert_int_equal(told_cnt, 2);
	pt_cause_release();
	complain(NULL);
	assert_int_equal(told_cnt, 2);
	pt_cause_release();

	complain(NULL);
	assert_int_equal(told_cnt, 3);
	assert_ptr_equal(libbpf_set_print(print), print);
}

static void newer_printer_stays(void **state)
{
	(void)state;
	libbpf_set_print(print);
	pt_cause_hold();
	libbpf_set_print(print_other);
	pt_cause_release();
	assert_ptr_equal(libbpf_set_print(print), print_other);
}

/* A program that holds no messages silences libbpf in all threads, for good. */
static void ours_is_silent(void **state)
{
	unsigned int cnt = told_cnt;
	pthread_t other;

	(void)state;
	libbpf_set_print(print);
	pt_cause_begin();
	complain(NULL);
	assert_non_null(strstr(pt_cause_text(), "/dev/null"));
	pthread_create(&other, NULL, complain, NULL);
	pthread_join(other, NULL);
	pt_cause_hold();
	pt_cause_release();
	complain(NULL);
	assert_int_equal(told_cnt, cnt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printer_is_back),
		cmocka_unit_test(newer_printer_stays),
		cmocka_unit_test(ours_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
