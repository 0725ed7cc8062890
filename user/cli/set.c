/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "lane/rate.h"

static const struct pt_option_group groups[] = {
	{ "Options:", NULL, 0 },
	{ }
};

const struct pt_command pt_command_set = {
	.name = "set",
	.usage =
	"Usage: pagetrim set PATH max-bandwidth N [options]\n"
	"\n"
	"Changes the limit of a 'pagetrim send --control PATH' while it runs: N Ethernet\n"
	"bytes a second at most, from 64K on, with K, M, G or T for powers of 1024; auto:\n"
	"the link's speed, if known; 0: no limit.\n",
	.groups = groups,
	.notes =
	"Exit: 0 changed, 1 the sender refused, 2 wrong usage, 3 no sender listens at\n"
	"      PATH, or it does not answer.\n"
	"Example: pagetrim set /run/vm.control max-bandwidth 500M\n",
	.arguments = { "file", "=max-bandwidth", "=auto" },
};

int pt_cmd_set(int argc, char **argv)
{
	char request[64], human[16];
	struct pt_error err;
	json_t *answer;
	__u64 rate;
	int code = pt_options_parse(&pt_command_set, NULL, argc, argv);

	if (code >= 0)
		return code;
	argv += optind;
	if (argc - optind != 3)
		return pt_out_usage("set", "want PATH max-bandwidth N");
	if (strcmp(argv[1], "max-bandwidth"))
		return pt_out_usage("set", "'%s': cannot be set (want "
				    "max-bandwidth)", argv[1]);
	if (!strcmp(argv[2], "auto"))
		snprintf(request, sizeof(request), "set max-bandwidth auto");
	else if (pt_out_number(argv[2], 0, PT_RATE_MAX, true, &rate))
		snprintf(request, sizeof(request), "set max-bandwidth %llu",
			 (unsigned long long)rate);
	else
		return pt_out_usage("set", "max-bandwidth '%s': want "
				    "0..1099511627776, or auto", argv[2]);
	if (pt_ask(&answer, argv[0], request, &err))
		return pt_out_fail("set", &err);
	rate = json_integer_value(json_object_get(answer, "max-bandwidth"));
	json_decref(answer);
	if (rate)
		printf("%s: at most %s a second\n", argv[0],
		       pt_out_human(rate, human));
	else
		printf("%s: no limit\n", argv[0]);
	return PT_EXIT_OK;
}
