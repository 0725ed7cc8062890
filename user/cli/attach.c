/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "xdp/program.h"

static const char help[] =
"Usage: pagetrim attach --dev DEV [options]\n"
"\n"
"Attaches the receive program to DEV and pins it, with its maps, under\n"
"/sys/fs/bpf/pagetrim/DEV (a dot in DEV becomes a colon), where it stays until\n"
"'pagetrim detach' or a reboot.  Several 'pagetrim receive' may then share DEV,\n"
"on different queues, and the counters outlive them.  Not needed for one\n"
"receiver: that attaches by itself for as long as it runs.\n"
"\n"
"Beside other XDP programs where libxdp's dispatcher holds DEV and the kernel\n"
"can load it; else DEV must have none.  Frames of no pagetrim session are left\n"
"to the kernel untouched.\n"
"\n"
"Required:\n"
"      --dev DEV            network device, e.g. eth1\n"
"Options:\n"
"      --generic            XDP in the network stack, not in the driver; slower,\n"
"                           one queue on a veth; never chosen by itself\n"
"      --json               one JSON object on stdout; keys: pagetrim-attach(8)\n"
"  -h, --help               this text, on stdout, exit 0\n"
"\n"
"Needs a BPF file system (mount -t bpf bpf /sys/fs/bpf, where systemd did not);\n"
"'ip netns exec' hides it, use nsenter --net=/run/netns/NAME.  Bonds, bridges:\n"
"attach to the device below.\n"
"\n"
"Exit: 0 attached, 2 wrong usage, 3 this host lacks something, or DEV is held by\n"
"      another XDP program (the error names it).\n"
"Example: pagetrim attach --dev eth1\n";

enum { OPT_DEV = 256, OPT_GENERIC, OPT_JSON };

static const struct option options[] = {
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "generic", no_argument, NULL, OPT_GENERIC },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

struct attach {
	const char *dev;
	bool generic, json;
};

/* parse returns -1 to go on, or an exit code. */
static int parse(struct attach *a, int argc, char **argv)
{
	int opt;

	opterr = 0;	/* we say it, in one line */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case OPT_DEV:
			a->dev = optarg;
			break;
		case OPT_GENERIC:
			a->generic = true;
			break;
		case OPT_JSON:
			a->json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return PT_EXIT_OK;
		default:
			return pt_out_usage("attach", "'%s': wrong option, "
					    "or its value is missing",
					    argv[optind - 1]);
		}
	}
	if (optind < argc)
		return pt_out_usage("attach", "'%s': no such argument",
				    argv[optind]);
	if (!a->dev)
		return pt_out_usage("attach", "--dev is missing");
	return -1;
}

static void report(const struct attach *a, const struct pt_device *device,
		   const struct pt_program_info *info)
{
	const char *mode = info->generic ? "generic" : "native";
	char path[PT_PIN_PATH_SZ];

	pt_program_pin_path(path, device, NULL);
	if (a->json)
		pt_out_json(json_pack("{s:s, s:s, s:I, s:s, s:b, s:b}",
				      "device", device->name, "mode", mode,
				      "program-id", (json_int_t)info->id,
				      "path", path,
				      "dispatcher", info->dispatcher,
				      "multi-buffer", info->multi_buffer));
	else
		printf("%s: attached, %s, program %u%s, pinned under %s\n",
		       device->name, mode, info->id,
		       info->dispatcher ? " behind libxdp's dispatcher" : "",
		       path);
}

int pt_cmd_attach(int argc, char **argv)
{
	struct attach a = { 0 };
	struct pt_program_info info;
	struct pt_device device;
	struct pt_error err;
	int code = parse(&a, argc, argv);

	if (code >= 0)
		return code;
	/* A device that is down may be brought up later; its MTU stays. */
	if (pt_device_open(&device, a.dev, &err) ||
	    pt_device_check(&device, &err) == -EMSGSIZE ||
	    pt_program_pin(&(struct pt_program_cfg){ .device = &device,
						     .generic = a.generic },
			   &info, &err))
		return pt_out_fail("attach", &err);
	report(&a, &device, &info);
	return PT_EXIT_OK;
}
