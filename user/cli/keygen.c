/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/privilege.h"
#include "control/psk.h"

#define IDENTITY	"pagetrim"

static const char help[] =
"Usage: pagetrim keygen FILE [options]\n"
"\n"
"Makes a pre-shared key for --psk of 'pagetrim send' and 'pagetrim receive':\n"
"copy FILE to the other host by a way that nobody can read, e.g. scp(1). It is\n"
"one line IDENTITY:HEXKEY, mode 0600; a FILE that exists is never overwritten.\n"
"\n"
"Options:\n"
"      --identity NAME      what the key is called, 1..128 printable characters;\n"
"                           others can read it on the wire (default: pagetrim)\n"
"  -h, --help               this text, on stdout, exit 0\n"
"\n"
"Exit: 0 made, 2 wrong usage, 3 no FILE can be made here.\n"
"Example: pagetrim keygen /etc/pagetrim.key\n";

enum { OPT_IDENTITY = 256 };

static const struct option options[] = {
	{ "identity", required_argument, NULL, OPT_IDENTITY },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

struct keygen {
	const char *path, *identity;
};

/* parse returns -1 to go on, or an exit code. */
static int parse(struct keygen *k, int argc, char **argv)
{
	int opt;

	opterr = 0;	/* we say it, in one line */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case OPT_IDENTITY:
			k->identity = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return PT_EXIT_OK;
		default:
			return pt_out_usage("keygen", "'%s': wrong option, "
					    "or its value is missing",
					    argv[optind - 1]);
		}
	}
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
