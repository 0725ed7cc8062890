// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/metrics.h"

/* metrics_of returns the text, which the caller frees. */
static char *metrics_of(const char *json)
{
	json_t *o = json_loads(json, 0, NULL);
	char *text;
	size_t sz;
	FILE *out = open_memstream(&text, &sz);

	assert_non_null(o);
	assert_non_null(out);
	pt_metrics_text(out, o);
	fclose(out);
	json_decref(o);
	return text;
}

static void has(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (!at || (at != text && at[-1] != '\n'))
		fail_msg("no line '%s' in: %s", line, text);
}

static void test_units(void **state)
{
	char *text = metrics_of("{\"role\": \"sender\", \"status\": \"active\","
		"\"transfer-id\": \"0a\", \"downtime\": 250,"
		"\"paused\": true, \"frames\": 12345678901,"
		"\"ram\": {\"dirty-pages-rate\": 3, \"remaining\": 0}}");

	(void)state;
	has(text, "# TYPE pagetrim_migration_dirty_memory_rate_bytes gauge\n"
		  "# UNIT pagetrim_migration_dirty_memory_rate_bytes bytes\n");
	has(text, "pagetrim_migration_dirty_memory_rate_bytes{role=\"sender\","
		  "transfer_id=\"0a\"} 12288\n");
	has(text, "pagetrim_migration_last_downtime_duration_seconds{role="
		  "\"sender\",transfer_id=\"0a\"} 0.25\n");
	has(text, "pagetrim_migration_data_remaining_bytes{role=\"sender\","
		  "transfer_id=\"0a\"} 0\n");
	has(text, "# TYPE pagetrim_migration_frames counter\n");
	has(text, "pagetrim_migration_frames_total{role=\"sender\","
		  "transfer_id=\"0a\"} 12345678901\n");
	has(text, "pagetrim_migration_paused{role=\"sender\",transfer_id="
		  "\"0a\"} 1\n");
	has(text, "pagetrim_migration_status{role=\"sender\",transfer_id="
		  "\"0a\",pagetrim_migration_status=\"active\"} 1\n");
	has(text, "pagetrim_migration_status{role=\"sender\",transfer_id="
		  "\"0a\",pagetrim_migration_status=\"verify\"} 0\n");
	has(text, "# EOF\n");
	free(text);
}

/* A figure that is not known has no sample, and no family. */
static void test_unknown(void **state)
{
	char *text = metrics_of("{\"role\": \"receiver\", \"ram\": null,"
				"\"frames\": \"x\"}");

	(void)state;
	assert_string_equal(text, "# EOF\n");
	free(text);
}

static void test_ledger(void **state)
{
	char *text = metrics_of("{\"role\": \"receiver\", \"transfer-id\": "
				"\"1\", \"ledger\": {\"sent\": 7}}");

	(void)state;
	has(text, "# TYPE pagetrim_migration_ledger_frames counter\n");
	has(text, "pagetrim_migration_ledger_frames_total{role=\"receiver\","
		  "transfer_id=\"1\",entry=\"sent\"} 7\n");
	free(text);
}

/* A receiver has several transfers, and each family its head once. */
static void test_transfers(void **state)
{
	char *text = metrics_of("{\"role\": \"receiver\", \"transfers\": ["
		"{\"transfer-id\": \"a\", \"ram\": {\"placed\": 1}},"
		"{\"transfer-id\": \"b\", \"ram\": {\"placed\": 2},"
		" \"ledger\": {\"sent\": 7}}]}");

	(void)state;
	assert_string_equal(text,
		"# TYPE pagetrim_migration_data_placed_bytes gauge\n"
		"# UNIT pagetrim_migration_data_placed_bytes bytes\n"
		"# HELP pagetrim_migration_data_placed_bytes Blocks that the "
		"receiver has placed.\n"
		"pagetrim_migration_data_placed_bytes{role=\"receiver\","
		"transfer_id=\"a\"} 1\n"
		"pagetrim_migration_data_placed_bytes{role=\"receiver\","
		"transfer_id=\"b\"} 2\n"
		"# TYPE pagetrim_migration_ledger_frames counter\n"
		"# HELP pagetrim_migration_ledger_frames The ledger's "
		"entries.\n"
		"pagetrim_migration_ledger_frames_total{role=\"receiver\","
		"transfer_id=\"b\",entry=\"sent\"} 7\n"
		"# EOF\n");
	free(text);
}

/* Bytes with a meaning of their own are escaped. */
static void test_escapes(void **state)
{
	char *text = metrics_of("{\"role\": \"a\\\\b\\\"c\\nd\","
				"\"frames\": 1}");

	(void)state;
	has(text, "pagetrim_migration_frames_total{role=\"a\\\\b\\\"c d\","
		  "transfer_id=\"\"} 1\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_ledger),
		cmocka_unit_test(test_transfers),
		cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
