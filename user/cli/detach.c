/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "xdp/program.h"

static const char help[] =
"Usage: pagetrim detach --dev DEV [options]\n"
"\n"
"Detaches the receive program that 'pagetrim attach' put on DEV, and removes its\n"
"pins; the counters go with it.  Other XDP programs stay.  DEV may be any name\n"
"that the device has, or had then.\n"
"\n"
"Required:\n"
"      --dev DEV            network device, e.g. eth1\n"
"Options:\n"
"      --force              also while a receiver uses it (its transfers fail),\n"
"                           and pins of a device in another network namespace\n"
"      --json               one JSON object on stdout; keys: pagetrim-detach(8)\n"
"  -h, --help               this text, on stdout, exit 0\n"
"\n"
"Exit: 0 detached, 2 wrong usage, 3 nothing was attached, it is in use, or this\n"
"      host lacks something.\n"
"Example: pagetrim detach --dev eth1\n";

enum { OPT_DEV = 256, OPT_FORCE, OPT_JSON };

static const struct option options[] = {
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

struct detach {
	const char *dev;
	bool force, json;
};

/* parse returns -1 to go on, or an exit code. */
static int parse(struct detach *d, int argc, char **argv)
{
	int opt;

	opterr = 0;	/* we say it, in one line */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case OPT_DEV:
			d->dev = optarg;
			break;
		case OPT_FORCE:
			d->force = true;
			break;
		case OPT_JSON:
			d->json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return PT_EXIT_OK;
		default:
			return pt_out_usage("detach", "'%s': wrong option, "
					    "or its value is missing",
					    argv[optind - 1]);
		}
	}
	if (optind < argc)
		return pt_out_usage("detach", "'%s': no such argument",
				    argv[optind]);
	if (!d->dev)
		return pt_out_usage("detach", "--dev is missing");
	return -1;
}

int pt_cmd_detach(int argc, char **argv)
{
	struct detach d = { 0 };
	struct pt_device device;
	struct pt_error err;
	int code = parse(&d, argc, argv);

	if (code >= 0)
		return code;
	if (pt_program_device(&device, d.dev, &err) ||
	    pt_program_unpin(&device, d.force, &err))
		return pt_out_fail("detach", &err);
	if (d.json)
		pt_out_json(json_pack("{s:s}", "device", device.name));
	else
		printf("%s: detached\n", device.name);
	return PT_EXIT_OK;
}
