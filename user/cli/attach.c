/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "xdp/program.h"

struct attach {
	const char *dev;
	bool generic, json;
};

static const struct pt_option required[] = {
	{ "dev", "DEV", "network device, e.g. eth1",
	  PT_OPTION(TEXT, struct attach, dev), .offers = "device",
	  .required = true },
	{ }
};

static const struct pt_option options[] = {
	{ "generic", NULL,
	  "XDP in the network stack, not in the driver; slower, one queue on a "
	  "veth; never chosen by itself",
	  PT_OPTION(FLAG, struct attach, generic) },
	{ "json", NULL, "one JSON object on stdout; keys: pagetrim-attach(8)",
	  PT_OPTION(FLAG, struct attach, json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", required, 0 },
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_attach = {
	.name = "attach",
	.usage =
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
	"to the kernel untouched.\n",
	.groups = groups,
	.notes =
	"Needs a BPF file system (mount -t bpf bpf /sys/fs/bpf, where systemd did not);\n"
	"'ip netns exec' hides it, use nsenter --net=/run/netns/NAME.  Bonds, bridges:\n"
	"attach to the device below.\n"
	"\n"
	"Exit: 0 attached, 2 wrong usage, 3 this host lacks something, or DEV is held by\n"
	"      another XDP program (the error names it).\n"
	"Example: pagetrim attach --dev eth1\n",
};

static void report(const struct attach *a, const struct pt_device *device,
		   const struct pt_program_info *info)
{
	const char *mode = info->generic ? "generic" : "native";
	char path[PT_PIN_PATH_SZ];

	pt_program_pin_path(path, device, NULL);
	if (a->json)
		pt_out_json(json_pack("{s:o, s:s, s:I, s:o, s:b, s:b}",
				      "device", pt_json_clean(device->name),
				      "mode", mode,
				      "program-id", (json_int_t)info->id,
				      "path", pt_json_clean(path),
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
	int code = pt_options_parse(&pt_command_attach, &a, argc, argv);

	if (code >= 0)
		return code;
	/* A device that is down may be brought up later with the MTU it has
	 * now. */
	if (pt_device_open(&device, a.dev, &err) ||
	    pt_device_check(&device, &err) == -EMSGSIZE ||
	    pt_program_pin(&(struct pt_program_cfg){ .device = &device,
						     .generic = a.generic },
			   &info, &err))
		return pt_out_fail("attach", &err);
	report(&a, &device, &info);
	return PT_EXIT_OK;
}
