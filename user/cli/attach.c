/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/privilege.h"
#include "xdp/program.h"

struct attach {
	const char *dev;
	bool generic, json;
	struct pt_user user;
	struct pt_grant group;
};

static int take_user(const char *command, void *to, const char *text)
{
	struct pt_error err;

	if (!pt_user_parse(to, text, &err))
		return -1;
	return pt_out_usage(command, "%s", err.text);
}

static int take_group(const char *command, void *to, const char *text)
{
	const struct group *entry = getgrnam(text);
	struct pt_grant *grant = to;
	char *end;
	unsigned long gid = strtoul(text, &end, 10);

	if (entry)
		gid = entry->gr_gid;
	else if (text[0] < '0' || text[0] > '9' || *end || gid >= 0xffffffff)
		return pt_out_usage(command, "--group '%s': no such group "
				    "('getent group' lists them), and no "
				    "number of one", text);
	*grant = (struct pt_grant){ .is_set = true, .is_group = true,
				    .gid = gid };
	return -1;
}

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
	{ "user", "USER",
	  "let NAME, UID or UID:GID receive by it, who then needs CAP_NET_RAW "
	  "only",
	  PT_OPTION(OWN, struct attach, user), .take = take_user,
	  .offers = "user" },
	{ "group", "GROUP", "let all users of the group receive by it",
	  PT_OPTION(OWN, struct attach, group), .take = take_group },
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
	char path[PT_PIN_PATH_SZ], whose[80] = "";

	pt_program_pin_path(path, device, NULL);
	if (a->user.is_set)
		snprintf(whose, sizeof(whose), "user %.63s", a->user.name);
	else if (a->group.is_set)
		snprintf(whose, sizeof(whose), "group %u", a->group.gid);
	if (a->json)
		pt_out_json(json_pack("{s:o, s:s, s:I, s:o, s:b, s:b, s:o}",
				      "device", pt_json_clean(device->name),
				      "mode", mode,
				      "program-id", (json_int_t)info->id,
				      "path", pt_json_clean(path),
				      "dispatcher", info->dispatcher,
				      "multi-buffer", info->multi_buffer,
				      "given-to", whose[0] ? pt_json_clean(whose)
							 : json_null()));
	else
		printf("%s: attached, %s, program %u%s, pinned under "
		       "%s%s%s\n", device->name, mode, info->id,
		       info->dispatcher ? " behind libxdp's dispatcher" : "",
		       path, whose[0] ? ", given to " : "", whose);
}

/* grant_of: a number as the user's name needs no entry for its group. */
static struct pt_grant grant_of(const struct attach *a)
{
	if (a->user.is_set)
		return (struct pt_grant){ .is_set = true, .uid = a->user.uid };
	return a->group;
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
	if (a.user.is_set && a.group.is_set)
		return pt_out_usage("attach", "--user with --group: one of "
				    "them, the user may be in the group");
	/* A device that is down may be brought up later with the MTU it has
	 * now. */
	if (pt_device_open(&device, a.dev, &err) ||
	    pt_device_check(&device, &err) == -EMSGSIZE ||
	    pt_program_pin(&(struct pt_program_cfg){ .device = &device,
						     .generic = a.generic,
						     .grant = grant_of(&a) },
			   &info, &err))
		return pt_out_fail("attach", &err);
	report(&a, &device, &info);
	return PT_EXIT_OK;
}
