/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "run/run.h"

struct draw {
	const char *out;
};

static const struct pt_option options[] = {
	{ "out", "PATH", "the HTML file (default: FILE with .html behind it)",
	  PT_OPTION(TEXT, struct draw, out), .offers = "file" },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_report = {
	.name = "report",
	.usage =
	"Usage: pagetrim report FILE [options]\n"
	"\n"
	"Draws a move from FILE, the output of 'pagetrim migrate --json': pages and\n"
	"bytes by round, rates over time, expected downtime, downtime by part.  The\n"
	"HTML file is whole in itself, and follows the reader's light or dark setting.\n",
	.groups = groups,
	.notes =
	"Exit: 0 drawn, 2 wrong usage, 3 no events can be read from FILE, or PATH\n"
	"      cannot be written.\n"
	"Example: pagetrim report move.json --out move.html\n",
	.arguments = { "file" },
};

int pt_cmd_report(int argc, char **argv)
{
	char path[PATH_MAX];
	struct draw d = { 0 };
	struct pt_error err;
	struct pt_run *run;
	int ret, code = pt_options_parse(&pt_command_report, &d, argc, argv);

	if (code >= 0)
		return code;
	if (argc - optind != 1)
		return pt_out_usage("report", "want one FILE");
	if (!d.out && snprintf(path, sizeof(path), "%s.html", argv[optind]) >=
	    (int)sizeof(path))
		return pt_out_usage("report", "FILE is too long");
	ret = pt_run_read(&run, argv[optind], &err);
	if (ret)
		return pt_out_fail("report", &err);
	if (run->is_cut)
		pt_out_warn("warning: %s: ends within an event, which is left out "
			   "(was its process killed?)", argv[optind]);
	ret = pt_run_draw(run, d.out ? d.out : path, &err);
	free(run);
	return ret ? pt_out_fail("report", &err) : PT_EXIT_OK;
}
