// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run.h"

#define STARTED	"{\"event\": \"started\", \"at\": 10, \"transfer-id\": \"0a\", " \
		"\"total\": 4096, \"tracker\": \"digest\", " \
		"\"downtime-limit\": 300}\n"
#define ROUND	"{\"event\": \"round\", \"at\": 40, \"time\": 20, " \
		"\"look-time\": 5, \"pages\": 7, \"transferred\": 9000, " \
		"\"dirty-pages\": 3, \"dirty-pages-rate\": 30, " \
		"\"expected-downtime\": 12.5}\n"
#define END	"{\"event\": \"finished\", \"status\": \"completed\", " \
		"\"transfer-id\": \"0a\", \"total-time\": 90, \"ram\": " \
		"{\"total\": 4096}, \"live\": {\"downtime\": 30, " \
		"\"downtime-parts\": {\"device\": 20, \"commit\": 10}}}\n"

static char path[] = "/tmp/pagetrim-run-XXXXXX";

static void write_file(const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static struct pt_run *read_run(const char *text)
{
	struct pt_error err;
	struct pt_run *run;

	write_file(text);
	if (pt_run_read(&run, path, &err))
		fail_msg("%s", err.text);
	return run;
}

/* drawn returns the page, which the caller frees. */
static char *drawn(const struct pt_run *run)
{
	static char page[1 << 20];
	struct pt_error err;
	size_t sz;
	FILE *in;

	assert_int_equal(pt_run_draw(run, path, &err), 0);
	in = fopen(path, "r");
	assert_non_null(in);
	sz = fread(page, 1, sizeof(page) - 1, in);
	page[sz] = '\0';
	fclose(in);
	return page;
}

static void refuses(const char *text, const char *word)
{
	struct pt_error err;
	struct pt_run *run;

	write_file(text);
	assert_int_equal(pt_run_read(&run, path, &err), -EINVAL);
	assert_non_null(strstr(err.text, word));
	assert_int_equal(err.exit, PT_EXIT_HOST);
}

static void test_read(void **state)
{
	struct pt_run *run = read_run(STARTED ROUND ROUND
		"{\"event\": \"stop\", \"at\": 50}\n" END);

	(void)state;
	assert_int_equal(run->round_cnt, 2);
	assert_int_equal(run->rounds[1].pages, 7);
	assert_int_equal(run->rounds[1].bytes, 9000);
	assert_int_equal(run->stop_at_ms, 50);
	assert_int_equal(run->limit_ms, 300);
	assert_int_equal(run->downtime_ms, 30);
	assert_int_equal(run->part_ms[3], 20);
	assert_string_equal(run->status, "completed");
	free(run);
}

static void test_refused(void **state)
{
	(void)state;
	refuses("", "has no events");
	refuses("{\"status\": \"completed\"}\n", "has no events");
	refuses(STARTED "garbage", "no JSON");
	refuses("[1, 2", "no JSON");
}

static void test_drawn(void **state)
{
	struct pt_run *run = read_run(STARTED ROUND
		"{\"event\": \"stop\", \"at\": 50}\n" END);
	const char *page = drawn(run);

	(void)state;
	assert_non_null(strstr(page, "Pages by round"));
	assert_non_null(strstr(page, "device state</text>"));
	assert_non_null(strstr(page, "20.0 ms</text>"));
	assert_non_null(strstr(page, "prefers-color-scheme:dark"));
	assert_non_null(strstr(page, "</html>"));
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "nan"));
	free(run);
}

/* Figures and texts of a file that nobody vouches for. */
static void test_hostile(void **state)
{
	struct pt_run *run = read_run(
		"{\"event\": \"round\", \"at\": -1e300, \"time\": 1e308, "
		"\"pages\": 1e308, \"transferred\": -5, "
		"\"expected-downtime\": \"x\"}\n"
		"{\"event\": \"failed\", \"status\": \"<script>\", "
		"\"error-desc\": \"\\\"'&<img src=http://x>\", "
		"\"transfer-id\": [], \"ram\": 5}\n");
	const char *page = drawn(run);

	(void)state;
	assert_non_null(strstr(page, "&lt;script&gt;: &quot;&#39;&amp;&lt;img"));
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "<img"));
	assert_null(strstr(page, "nan"));
	assert_null(strstr(page, "inf"));
	free(run);
}

/* Rounds beyond the last that is kept are left out. */
static void test_many(void **state)
{
	FILE *out = fopen(path, "w");
	struct pt_error err;
	struct pt_run *run;

	(void)state;
	assert_non_null(out);
	for (int i = 0; i < PT_RUN_ROUNDS_MAX + 5; i++)
		fputs(ROUND, out);
	fclose(out);
	assert_int_equal(pt_run_read(&run, path, &err), 0);
	assert_int_equal(run->round_cnt, PT_RUN_ROUNDS_MAX);
	free(run);
}

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_drawn),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
