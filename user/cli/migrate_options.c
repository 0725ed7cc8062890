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

static const struct pt_option_word trackers[] = {
	{ "auto", PT_LIVE_TRACKER_AUTO }, { "wp-async", PT_LIVE_TRACKER_WP },
	{ "digest", PT_LIVE_TRACKER_DIGEST }, { }
};

static const struct pt_option_word no_converge[] = {
	{ "cancel", PT_NO_CONVERGE_CANCEL }, { "stop", PT_NO_CONVERGE_STOP },
	{ }
};

static const struct pt_option options[] = {
	{ "pid", "PID",
	  "QEMU's process (default: the one that listens on SOCKET)",
	  PT_OPTION(NUMBER, struct pt_migrate_options, pid), .min = 1,
	  .max = 1 << 22, .offers = "pid" },
	{ "downtime-limit", "MS",
	  "the guest is stopped once that is expected to take no longer, "
	  "1..60000 (default 300)",
	  PT_OPTION(NUMBER, struct pt_migrate_options, downtime_limit_ms),
	  .min = 1, .max = 60000, .initial = PT_DOWNTIME_DEFAULT_MS },
	{ "max-rounds", "N",
	  "rounds until then, 1..10000 (default 30)",
	  PT_OPTION(NUMBER, struct pt_migrate_options, live.converge.rounds_max),
	  .min = 1, .max = 10000, .initial = PT_ROUNDS_DEFAULT },
	{ "on-no-converge", "HOW",
	  "after the last round: cancel: the guest stays here (default); stop: it "
	  "is stopped for longer than the limit",
	  PT_OPTION(WORD, struct pt_migrate_options, live.converge.otherwise),
	  .words = no_converge },
	{ "tracker", "HOW",
	  "how written pages are found: wp-async: by write protection (Linux "
	  "6.7); digest: by reading all memory; auto: the best that works "
	  "(default)",
	  PT_OPTION(WORD, struct pt_migrate_options, live.tracker),
	  .words = trackers },
	{ "delta-cache", "SIZE",
	  "bytes that remember sent pages, so that a page that is written again "
	  "goes as its changed blocks, with K, M or G for powers of 1024; 0: no "
	  "such pages (default 64M)",
	  PT_OPTION(NUMBER, struct pt_migrate_options, send.cfg.delta_cache_sz),
	  .max = 1ULL << 40, .suffix = true, .initial = PT_SEND_DELTA_CACHE_SZ,
	  .offers = "=0 64M 256M" },
	{ "quit-source", NULL,
	  "end this host's QEMU when the guest runs at the other; it stays "
	  "paused otherwise",
	  PT_OPTION(FLAG, struct pt_migrate_options, quit_source) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", pt_send_required_options,
	  offsetof(struct pt_migrate_options, send) },
	{ NULL, required, 0 },
	{ "and one of:", pt_security_options,
	  offsetof(struct pt_migrate_options, send.security) },
	{ "Options:", options, 0 },
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
	if (!o->send.cfg.delta_cache_sz)
		o->send.cfg.delta_cache_sz = PT_SEND_DELTA_OFF;
	o->live.converge.downtime_ns = o->downtime_limit_ms * 1000000ULL;
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
