// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Reports in JSON: a figure that is not known has no key, and no text loses one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/json_text.h"
#include "cli/report.h"
#include "cli/report_live.h"

#define MS	1000000ULL

/* same_keys: want names the keys of o, in their order, each with a blank behind
 * it; o is released. */
static void same_keys(json_t *o, const char *want)
{
	char keys[512] = "";
	const char *key;
	json_t *value;

	assert_true(json_is_object(o));
	json_object_foreach(o, key, value)
		snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "%s ",
			 key);
	assert_string_equal(keys, want);
	json_decref(o);
}

static json_t *last_of(const struct pt_send_live_report *r)
{
	json_t *live = pt_report_live_json(r);
	json_t *last = json_incref(json_object_get(live, "last"));

	json_decref(live);
	return last;
}

/* Memory that changes, as it becomes known. */
static void test_unknown(void **state)
{
	struct pt_send_live_report r = {
		.step = PT_SEND_LIVE_ROUND, .round = { .idx = 1 },
	};

	(void)state;
	same_keys(pt_report_live_json(&r), "step rounds last rechecked-pages "
		  "recheck-found-pages last-pages device-bytes ");
	same_keys(last_of(&r), "round ");
	r.round.took_ns = MS;
	same_keys(last_of(&r), "round pages delta-pages delta-saved transferred "
		  "time pause-time ");
	r.round.bytes_per_s = 1000;
	r.round.is_judged = true;
	same_keys(last_of(&r), "round pages delta-pages delta-saved transferred "
		  "time pause-time rate dirty-pages hot-pages "
		  "look-time dirty-pages-rate expected-downtime ");
	r.tracking.tracker = "digest";
	r.tracking.stop_ns = MS;
	r.downtime_ns = MS;
	same_keys(pt_report_live_json(&r), "step rounds last rechecked-pages "
		  "recheck-found-pages last-pages device-bytes tracker "
		  "tracker-reason compare-all-reason missed-change-odds "
		  "may-miss arm-time stop-time downtime downtime-parts ");
}

/* A stream's writer tells what it writes: no round is judged. */
static void test_told(void **state)
{
	const struct pt_send_live_report r = {
		.step = PT_SEND_LIVE_ROUND,
		.round = { .idx = 2, .took_ns = MS, .bytes_per_s = 5 },
	};

	(void)state;
	same_keys(last_of(&r), "round pages delta-pages delta-saved transferred "
		  "time pause-time rate dirty-pages hot-pages "
		  "look-time ");
}

/* The rate of memory that stands still is known. */
static void test_written_rate(void **state)
{
	struct pt_send_report r = { .live.step = PT_SEND_LIVE_NONE };
	json_t *o = pt_report_ram_json(&r);

	(void)state;
	assert_true(json_is_integer(json_object_get(o, "dirty-pages-rate")));
	json_decref(o);
	r.live.step = PT_SEND_LIVE_ROUND;
	o = pt_report_ram_json(&r);
	assert_null(json_object_get(o, "dirty-pages-rate"));
	json_decref(o);
	r.live.round = (struct pt_round){ .is_judged = true, .dirty_per_s = 7 };
	o = pt_report_ram_json(&r);
	assert_int_equal(json_integer_value(json_object_get(o,
			 "dirty-pages-rate")), 7);
	json_decref(o);
}

static void test_texts(void **state)
{
	struct pt_send_live_report r = {
		.step = PT_SEND_LIVE_ROUND,
		.tracking = { .tracker = "digest", .why = "a \xff\xc3 b" },
	};
	struct pt_receive_report got = {
		.name = "n\xff", .path = "/p\xff", .peer = "[::1]:1",
	};
	json_t *o = pt_report_live_json(&r);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(o,
			    "tracker-reason")), "a \\xff\\xc3 b");
	json_decref(o);
	o = pt_report_receive_json(&got);
	assert_string_equal(json_string_value(json_object_get(o, "name")), "n\\xff");
	assert_string_equal(json_string_value(json_object_get(o, "path")),
			    "/p\\xff");
	json_decref(o);
	o = pt_json_clean("");
	assert_string_equal(json_string_value(o), "");
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_written_rate),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
