/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/migrate_options.h"

#include <getopt.h>

#include "cli/commands.h"
#include "cli/output.h"

static const struct pt_option required[] = {
	{ "qmp", "SOCKET", "QEMU's monitor, a UNIX socket that no other client uses",
	  PT_OPTION(TEXT, struct pt_migrate_options, qmp), .offers = "file",
	  .required = true },
	{ }
};

static const struct pt_option options[] = {
	{ "pid", "PID",
	  "QEMU's process (default: the one that listens on SOCKET)",
	  PT_OPTION(NUMBER, struct pt_migrate_options, pid), .min = 1,
	  .max = 1 << 22, .offers = "pid" },
	{ "quit-source", NULL,
	  "end this host's QEMU when the guest runs at the other; it stays "
	  "paused otherwise",
	  PT_OPTION(FLAG, struct pt_migrate_options, quit_source) },
	{ "postcopy", NULL,
	  "run the guest at the other host before all of its memory is there, which "
	  "it then waits for; a 'receive --serve-faults' is needed",
	  PT_OPTION(FLAG, struct pt_migrate_options, postcopy) },
	{ "postcopy-after", "ROUNDS",
	  "rounds before that, 1..10000 (default 1); with --postcopy",
	  PT_OPTION(NUMBER, struct pt_migrate_options, postcopy_after),
	  .min = 1, .max = 10000, .initial = 1 },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", pt_send_required_options,
	  offsetof(struct pt_migrate_options, send) },
	{ NULL, required, 0 },
	{ "and one of:", pt_security_options,
	  offsetof(struct pt_migrate_options, send.security) },
	{ "Options:", options, 0 },
	{ NULL, pt_live_options,
	  offsetof(struct pt_migrate_options, send.live) },
	{ NULL, pt_send_common_options,
	  offsetof(struct pt_migrate_options, send) },
	{ NULL, pt_security_sender_options,
	  offsetof(struct pt_migrate_options, send.security) },
	{ NULL, pt_agent_options,
	  offsetof(struct pt_migrate_options, send.agent) },
	{ }
};

const struct pt_command pt_command_migrate = {
	.name = "migrate",
	.usage =
	"Usage: pagetrim migrate --qmp SOCKET --dev DEV --to HOST [options]\n"
	"\n"
	"Moves a running QEMU guest to a 'pagetrim receive --qmp' on another host.  Its\n"
	"RAM must be shared: a memory-backend-file with share=on.  After a\n"
	"failure the guest runs on here.\n",
	.groups = groups,
	.notes =
	"The guest is stopped at the end only, and never runs on both hosts.\n"
	"\n"
	"Exit: 0 the guest runs at the other host, 1 failed or interrupted, 2 wrong\n"
	"      usage, 3 this host lacks something, 4 the receiver is absent, silent or\n"
	"      gave up, 5 copy or ledger wrong, 6 outcome unknown: the guest is paused\n"
	"      here, look at the receiver before it is continued.\n"
	"Example: pagetrim migrate --psk key --dev eth1 --to 10.0.0.2 --qmp /run/vm.qmp\n",
	.arguments = { NULL },
};

int pt_migrate_options_parse(struct pt_migrate_options *o, int argc,
			     char **argv)
{
	int code;

	*o = (struct pt_migrate_options){ 0 };
	code = pt_options_parse(&pt_command_migrate, o, argc, argv);
	if (code >= 0)
		return code;
	if (optind < argc)
		return pt_out_usage("migrate", "'%s': no arguments are wanted",
				    argv[optind]);
	PT_AGENT_FILL(&o->send.cfg, &o->send.agent);
	o->send.cfg.ciphers = o->send.security.ciphers;
	pt_live_options_fill(&o->send.live, &o->send.cfg);
	if (o->postcopy_after != 1 && !o->postcopy)
		return pt_out_usage("migrate", "--postcopy-after without --postcopy");
	o->send.live.cfg.postcopy = o->postcopy;
	o->send.live.cfg.postcopy_after = o->postcopy_after;
	if (o->send.cfg.pad && o->send.security.insecure)
		return pt_out_usage("migrate", "--pad: hides nothing with "
				    "--insecure");
	if (o->send.cfg.pad && o->send.cfg.compress > PT_SEND_COMPRESS_OFF)
		return pt_out_usage("migrate", "--compress: sizes tell of the "
				    "content, which --pad hides (leave one "
				    "out)");
	code = pt_agent_check("migrate", &o->send.agent);
	return code < 0 ? pt_security_check("migrate", &o->send.security)
			: code;
}
