/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/privilege.h"
#include "tls/psk.h"

#define IDENTITY	"pagetrim"

struct keygen {
	const char *path, *identity;
};

static const struct pt_option options[] = {
	{ "identity", "NAME",
	  "the key's name, 1..128 printable characters; others can read it on "
	  "the wire (default: pagetrim)",
	  PT_OPTION(TEXT, struct keygen, identity) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_keygen = {
	.name = "keygen",
	.usage =
	"Usage: pagetrim keygen FILE [options]\n"
	"\n"
	"Makes a pre-shared key for --psk of 'pagetrim send' and 'pagetrim receive':\n"
	"copy FILE to the other host by a way that nobody can read, e.g. scp(1). It is\n"
	"one line IDENTITY:HEXKEY, mode 0600; a FILE that exists is never overwritten.\n",
	.groups = groups,
	.notes =
	"Exit: 0 made, 2 wrong usage, 3 no FILE can be made here.\n"
	"Example: pagetrim keygen /etc/pagetrim.key\n",
	.arguments = { "file" },
};

/* parse returns -1 to go on, or an exit code. */
static int parse(struct keygen *k, int argc, char **argv)
{
	int code = pt_options_parse(&pt_command_keygen, k, argc, argv);

	if (code >= 0)
		return code;
	if (optind == argc)
		return pt_out_usage("keygen", "FILE is missing");
	if (optind + 1 < argc)
		return pt_out_usage("keygen", "'%s': one FILE is enough",
				    argv[optind + 1]);
	k->path = argv[optind];
	return -1;
}

int pt_cmd_keygen(int argc, char **argv)
{
	struct keygen k = { .identity = IDENTITY };
	struct pt_error err;
	struct pt_psk psk;
	int ret, code = parse(&k, argc, argv);

	if (code >= 0)
		return code;
	if (pt_privilege_harden(&err))
		return pt_out_fail("keygen", &err);
	if (pt_psk_make(&psk, k.identity, &err))
		return pt_out_fail("keygen", &err);
	ret = pt_psk_save(&psk, k.path, &err);
	pt_psk_wipe(&psk);
	if (ret)
		return pt_out_fail("keygen", &err);
	printf("%s: a new key, identity %s\n", k.path, k.identity);
	return PT_EXIT_OK;
}
