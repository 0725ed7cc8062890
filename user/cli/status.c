/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>

#include "base/text.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

struct status {
	bool json;
};

static const struct pt_option options[] = {
	{ "json", NULL, "one JSON object on stdout; keys: pagetrim-status(8)",
	  PT_OPTION(FLAG, struct status, json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_status = {
	.name = "status",
	.usage =
	"Usage: pagetrim status PATH [options]\n"
	"\n"
	"Reports the progress of a 'pagetrim send --control PATH'.\n",
	.groups = groups,
	.notes =
	"Exit: 0 told, 1 the sender refused, 2 wrong usage, 3 no sender listens at PATH,\n"
	"      or it does not answer.\n"
	"Example: pagetrim status /run/vm.control\n",
	.arguments = { "file" },
};

static __u64 number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* live_text prints the rounds of memory that changes; live NULL: nothing. */
static void live_text(const json_t *live)
{
	const json_t *last = json_object_get(live, "last");

	if (!last)
		return;
	printf("Round: %llu (%s); %llu pages dirty, %llu written a second, by "
	       "%s; expected downtime %.1f ms\n",
	       (unsigned long long)number(last, "round"),
	       json_string_value(json_object_get(live, "step")),
	       (unsigned long long)number(last, "dirty-pages"),
	       (unsigned long long)number(last, "dirty-pages-rate"),
	       json_string_value(json_object_get(live, "tracker")),
	       json_number_value(json_object_get(last, "expected-downtime")));
}

static void print(const json_t *o)
{
	__u64 total = number(o, "total"), left = number(o, "remaining");
	__u64 limit = number(o, "max-bandwidth");
	const char *said = json_string_value(json_object_get(o, "status"));
	char phase[32], a[16], b[16];

	pt_text_clean(phase, sizeof(phase), said ? said : "?");
	printf("%s, %.1f s: %.0f %% of %s, %s left\n", phase,
	       number(o, "total-time") / 1e3,
	       total ? 100.0 - 100.0 * left / total : 100,
	       pt_out_human(total, a), pt_out_human(left, b));
	printf("On the wire: %s, %s a second",
	       pt_out_human(number(o, "transferred"), a),
	       pt_out_human(number(o, "bandwidth"), b));
	if (limit)
		printf(", at most %s\n", pt_out_human(limit, a));
	else
		printf(", no limit\n");
	if (number(o, "path-window"))
		printf("Path: takes %s a second, %s in flight, %.2f ms at "
		       "least\n", pt_out_human(number(o, "path-rate"), a),
		       pt_out_human(number(o, "path-window"), b),
		       json_number_value(json_object_get(o, "path-rtt")));
	if (number(o, "files-total"))
		printf("Files: %s, %s left\n",
		       pt_out_human(number(o, "files-total"), a),
		       pt_out_human(number(o, "files-remaining"), b));
	live_text(json_object_get(o, "live"));
	printf("Frames: %llu, of which %llu were lost on the way\n",
	       (unsigned long long)number(o, "frames"),
	       (unsigned long long)number(o, "frames-lost"));
}

int pt_cmd_status(int argc, char **argv)
{
	struct status s = { 0 };
	struct pt_error err;
	json_t *answer;
	int code = pt_options_parse(&pt_command_status, &s, argc, argv);

	if (code >= 0)
		return code;
	if (argc - optind != 1)
		return pt_out_usage("status", "want one PATH");
	if (pt_ask(&answer, argv[optind], "status", &err))
		return pt_out_fail("status", &err);
	if (s.json) {
		pt_out_json(answer);
		return PT_EXIT_OK;
	}
	print(answer);
	json_decref(answer);
	return PT_EXIT_OK;
}
