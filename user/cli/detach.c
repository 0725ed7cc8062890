/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */

#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "xdp/program.h"

struct detach {
	const char *dev;
	bool force, json;
};

static const struct pt_option required[] = {
	{ "dev", "DEV", "network device, e.g. eth1",
	  PT_OPTION(TEXT, struct detach, dev), .offers = "attached",
	  .required = true },
	{ }
};

static const struct pt_option options[] = {
	{ "force", NULL,
	  "also while a receiver uses it (its transfers fail), and pins of a "
	  "device in another network namespace",
	  PT_OPTION(FLAG, struct detach, force) },
	{ "json", NULL, "one JSON object on stdout; keys: pagetrim-detach(8)",
	  PT_OPTION(FLAG, struct detach, json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", required, 0 },
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_detach = {
	.name = "detach",
	.usage =
	"Usage: pagetrim detach --dev DEV [options]\n"
	"\n"
	"Detaches the receive program that 'pagetrim attach' put on DEV, and removes its\n"
	"pins; the counters go with it.  Other XDP programs stay.  DEV may be any name\n"
	"that the device has, or had then.\n",
	.groups = groups,
	.notes =
	"Exit: 0 detached, 2 wrong usage, 3 nothing was attached, it is in use, or this\n"
	"      host lacks something.\n"
	"Example: pagetrim detach --dev eth1\n",
};

int pt_cmd_detach(int argc, char **argv)
{
	struct detach d = { 0 };
	struct pt_device device;
	struct pt_error err;
	int code = pt_options_parse(&pt_command_detach, &d, argc, argv);

	if (code >= 0)
		return code;
	if (pt_program_device(&device, d.dev, &err) ||
	    pt_program_unpin(&device, d.force, &err))
		return pt_out_fail("detach", &err);
	if (d.json)
		pt_out_json(json_pack("{s:o}", "device",
				      pt_json_clean(device.name)));
	else
		printf("%s: detached\n", device.name);
	return PT_EXIT_OK;
}
