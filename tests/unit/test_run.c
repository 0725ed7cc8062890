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

#include "run/run.h"

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

/* A killed process may leave a part of a line. */
static void test_cut(void **state)
{
	static const char next[] = "{\"event\": \"round\", \"at\": 50, "
				   "\"converging\": true, \"x\": \"\\u00e9\"}";

	(void)state;
	for (size_t sz = 1; sz < sizeof(next) - 1; sz++) {
		char text[1024];
		struct pt_run *run;
		const char *page;

		snprintf(text, sizeof(text), "%s%.*s", STARTED ROUND, (int)sz,
			 next);
		run = read_run(text);
		assert_true(run->is_cut);
		assert_int_equal(run->round_cnt, 1);
		page = drawn(run);
		assert_non_null(strstr(page, "the last event is cut"));
		assert_non_null(strstr(page, "Pages by round"));
		free(run);
	}
}

static void test_refused(void **state)
{
	(void)state;
	refuses("{\"event\": \"sta", "no JSON");
	refuses(STARTED "{garbage}\n" ROUND, "no JSON");
	refuses(STARTED "{garbage}", "no JSON");
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

/* The axis of time is LEFT..RIGHT, 84..612. */
static void test_times(void **state)
{
	struct pt_run *run = read_run(STARTED
		"{\"event\": \"round\", \"at\": 40, \"time\": 20, "
		"\"pause-time\": 5, \"look-time\": 5, \"transferred\": 9000}\n"
		"{\"event\": \"stop\", \"at\": 50}\n"
		"{\"event\": \"finished\", \"total-time\": 100, \"live\": "
		"{\"downtime\": 30, \"stop-time\": 10}}\n");
	const char *page = drawn(run);

	(void)state;
	/* Sent from 10 to 30 ms, written to 40 ms; the guest stood still from
	 * 60 to 90 ms. */
	assert_non_null(strstr(page, "points=\"136.8,"));
	assert_non_null(strstr(page, " 242.4,"));
	assert_non_null(strstr(page, " 295.2,"));
	assert_non_null(strstr(page, "class=\"stop\" x=\"400.8\""));
	assert_non_null(strstr(page, "width=\"158.4\""));
	free(run);
}

/* Without the last event the axis ends with the last one that is there. */
static void test_no_end(void **state)
{
	struct pt_run *run = read_run(STARTED ROUND);
	const char *page = drawn(run);

	(void)state;
	assert_non_null(strstr(page, ">0.04 s</text>"));
	assert_non_null(strstr(page, ">0.01 s</text>"));
	assert_non_null(strstr(page, "its end is not recorded"));
	assert_null(strstr(page, "class=\"stop\""));
	free(run);
	run = read_run(STARTED ROUND "{\"event\": \"stop\", \"at\": 80}\n");
	page = drawn(run);
	assert_non_null(strstr(page, ">0.08 s</text>"));
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

/* The message has the cause: a device that is full is one of many. */
static void test_not_written(void **state)
{
	struct pt_run *run = read_run("{\"event\": \"opened\"}\n");
	struct pt_error err = { 0 };

	(void)state;
	assert_int_equal(pt_run_draw(run, "/dev/full", &err), -EIO);
	assert_string_equal(err.text, "/dev/full: cannot be written: No space "
			    "left on device");
	free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_drawn),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_no_end),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_not_written),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
