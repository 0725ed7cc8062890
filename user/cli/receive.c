/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */

#include "cli/agent.h"
#include "cli/commands.h"
#include "cli/compress.h"
#include "cli/output.h"
#include "cli/receive_run.h"
#include "cli/security.h"
#include "memory/layout.h"
#include "receive/receiver.h"
#include "session/queues.h"

#define SIZE_OPTION(field)						\
	PT_OPTION(NUMBER, struct pt_receive_run, cfg.field), .min = 4096,	\
	.max = PT_LAYOUT_SZ_MAX, .suffix = true, .want = "4096..256T, such as 64M or 1.5GiB"

static const struct pt_option required[] = {
	{ "dev", "DEV", "network device that the frames arrive on",
	  PT_OPTION(TEXT, struct pt_receive_run, cfg.dev), .offers = "device",
	  .required = true },
	{ "listen", "ADDR[:PORT]",
	  "address of DEV to listen on; TCP and UDP port (default 16644)",
	  PT_OPTION(TEXT, struct pt_receive_run, cfg.listen), .offers = "address",
	  .required = true },
	{ }
};

static const struct pt_option places[] = {
	{ "out", "PATH",
	  "image to make; must not exist.  A file, or a file on a tmpfs or "
	  "hugetlbfs; NAME.ptrim: an image at rest.  With --serve a folder",
	  PT_OPTION(TEXT, struct pt_receive_run, cfg.path), .offers = "file" },
	{ "qmp", "SOCK",
	  "monitor socket of a QEMU, started with -incoming defer, that takes "
	  "the guest of a 'pagetrim migrate'",
	  PT_OPTION(TEXT, struct pt_receive_run, qmp), .offers = "file" },
	{ "template", "NAME",
	  "template to make: pagetrim-template(8); FOLDER/NAME is one of another "
	  "folder",
	  PT_OPTION(TEXT, struct pt_receive_run, template) },
	{ }
};

static const struct pt_option_word large_words[] = {
	{ "keep", PT_LARGE_PAGES_KEEP },
	{ "all", PT_LARGE_PAGES_ALL },
	{ "off", PT_LARGE_PAGES_OFF },
	{ }
};

static int take_compress(const char *command, void *to, const char *text)
{
	struct pt_ptrim_sink_how *how = &((struct pt_receive_run *)to)->cfg.at_rest;

	if (!pt_compress_parse(text, &how->method, &how->level))
		return pt_out_usage(command, "--compress %s: want off, lz4, zstd or "
				    "zstd:LEVEL, 1..%d", text,
				    PT_COMPRESS_LEVEL_MAX);
	how->is_chosen = true;
	how->level = how->level ? how->level : PT_COMPRESS_LEVEL;
	return -1;
}

static const struct pt_option options[] = {
	{ "pid", "PID",
	  "process of the QEMU, if another one listens on its monitor socket; "
	  "with --qmp",
	  PT_OPTION(NUMBER, struct pt_receive_run, pid), .min = 1, .max = 1 << 22,
	  .want = "1..4194304", .offers = "pid" },
	{ "serve-faults", NULL,
	  "take also a guest that runs here before all of its memory has come "
	  "(migrate --postcopy), and answer its faults; with --qmp",
	  PT_OPTION(FLAG, struct pt_receive_run, serve_faults) },
	{ "control", "PATH",
	  "create a control socket there, for 'pagetrim ctl' while the receiver "
	  "runs", PT_OPTION(TEXT, struct pt_receive_run, control_path),
	  .offers = "file" },
	{ "serve", NULL,
	  "keep accepting, up to 64 transfers at once, each to its own name in "
	  "the folder PATH, until a signal",
	  PT_OPTION(FLAG, struct pt_receive_run, cfg.serve) },
	{ "drain", NULL,
	  "the first signal lets the transfers that run end, and takes no new "
	  "ones; a second one ends it as without --drain; with --serve",
	  PT_OPTION(FLAG, struct pt_receive_run, drain) },
	{ "peers", "FILE",
	  "take only senders that FILE names, each in its own folder, with "
	  "its names, quota and bandwidth: pagetrim.conf(5); with --serve",
	  PT_OPTION(TEXT, struct pt_receive_run, peers_path),
	  .offers = "file" },
	{ "resume", NULL,
	  "keep the data of a transfer that fails, as PATH.partial with "
	  "PATH.journal; and resume it when a sender with --resume connects",
	  PT_OPTION(FLAG, struct pt_receive_run, cfg.resume) },
	{ "wait", "S",
	  "give up if no sender has opened a transfer after S seconds, "
	  "1..86400 (default: wait for ever); without --serve",
	  PT_OPTION(NUMBER, struct pt_receive_run, cfg.wait_ms), .min = 1,
	  .max = 86400, .scale = 1000 },
	{ "large-pages", "WHICH",
	  "large pages of 2 MiB: keep those of the source (the default), all, "
	  "or off",
	  PT_OPTION(WORD, struct pt_receive_run, cfg.large_pages),
	  .words = large_words },
	{ "compress", "HOW",
	  "pages of an image at rest: off; lz4; zstd (default), or zstd:LEVEL, "
	  "1..19 (default 1)",
	  .kind = PT_OPTION_OWN, .take = take_compress,
	  .offers = "=off lz4 zstd zstd:3" },
	{ "prealloc", "SIZE",
	  "allocate SIZE bytes of the image, with K, M, G or T for powers of "
	  "1024, before a sender comes; with neither --serve nor --resume",
	  SIZE_OPTION(prealloc_sz) },
	{ "max-memory", "N",
	  "bytes of memory that senders may announce, all transfers together, "
	  "with K, M, G or T for powers of 1024 (default 16T)",
	  SIZE_OPTION(memory_sz_max), .initial = PT_RECEIVER_MEMORY_SZ },
	{ "max-transfers", "N",
	  "transfers that one peer may have at once, that is one address or "
	  "one certificate's name, 1..64 (default 48)",
	  PT_OPTION(NUMBER, struct pt_receive_run, cfg.peer.transfers), .min = 1,
	  .max = 64, .initial = PT_RECEIVER_PEER_TRANSFERS },
	{ "max-peer-memory", "N",
	  "bytes of memory that all transfers of one peer may announce "
	  "(default: no limit but --max-memory)",
	  SIZE_OPTION(peer.memory_sz) },
	{ "max-files", "SIZE",
	  "bytes of the files that accompany a transfer, plus 4096 for each "
	  "file (default 1T)",
	  SIZE_OPTION(files_sz_max), .initial = PT_RECEIVER_FILES_SZ },
	{ "max-peer-files", "SIZE",
	  "the same, of all transfers of one peer at once (default: no limit)",
	  SIZE_OPTION(peer.files_sz) },
	{ "generic", NULL,
	  "XDP in the network stack, not in the driver; never chosen by itself",
	  PT_OPTION(FLAG, struct pt_receive_run, agent.generic) },
	{ "json", NULL,
	  "one JSON object on stdout (with --serve one per transfer, a line "
	  "each); keys: pagetrim-receive(8)",
	  PT_OPTION(FLAG, struct pt_receive_run, agent.json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", required, 0 },
	{ "one of:", places, 0 },
	{ "and one of:", pt_security_options,
	  offsetof(struct pt_receive_run, security) },
	{ "Options:", options, 0 },
	{ NULL, pt_security_receiver_options,
	  offsetof(struct pt_receive_run, security) },
	{ NULL, pt_agent_options, offsetof(struct pt_receive_run, agent) },
	{ }
};

const struct pt_command pt_command_receive = {
	.name = "receive",
	.usage =
	"Usage: pagetrim receive --dev DEV --listen ADDR --out PATH [options]\n"
	"       pagetrim receive --dev DEV --listen ADDR --qmp SOCK [options]\n"
	"       pagetrim receive --dev DEV --listen ADDR --template NAME [options]\n"
	"\n"
	"Receives memory sent by 'pagetrim send' and rebuilds it in PATH.  PATH\n"
	"appears when all has arrived, was compared and is on disk; until then it is\n"
	"PATH.partial.  With --qmp receives a running guest sent by 'pagetrim migrate'\n"
	"into a QEMU that waits for it, and lets it run there.  Ends after one transfer.\n",
	.groups = groups,
	.notes =
	"Uses the program of 'pagetrim attach' if DEV has it, else attaches one for as\n"
	"long as it runs.  AF_XDP bypasses the firewall (netfilter) and tc on DEV.\n"
	"\n"
	"Exit: 0 committed, 1 failed or interrupted, 2 wrong usage, 3 this host lacks\n"
	"      something, 4 the sender vanished, gave up or did not come in the time\n"
	"      of --wait, 5 copy or ledger wrong, 6 outcome unknown: interrupted twice\n"
	"      during commit, or a QEMU that does not answer.\n"
	"Example: pagetrim receive --psk key --dev eth1 --listen 10.0.0.2 --out vm.ram\n",
};

/* check_template: a template is made in memory, by the user who starts this. */
static int check_template(const struct pt_receive_run *rx)
{
	const struct pt_receiver_cfg *cfg = &rx->cfg;

	if (!rx->template)
		return -1;
	if (cfg->path || rx->qmp)
		return pt_out_usage("receive", "--template with %s: want one of them",
				    cfg->path ? "--out" : "--qmp");
	if (cfg->serve || cfg->resume || cfg->prealloc_sz)
		return pt_out_usage("receive", "--template with %s: it is one memory, "
				    "made anew", cfg->serve ? "--serve" : cfg->resume
				    ? "--resume" : "--prealloc");
	if (rx->agent.user.is_set)
		return pt_out_usage("receive", "--template with --user: the template "
				    "would not be that user's (start it as that user)");
	return -1;
}

/* check_place: -1: an image or a QEMU, not both; or an exit code. */
static int check_place(const struct pt_receive_run *rx)
{
	const struct pt_receiver_cfg *cfg = &rx->cfg;

	if (!cfg->path && !rx->qmp && !rx->template)
		return pt_out_usage("receive", "--out is missing, or --qmp for "
				    "a guest");
	if (cfg->path && rx->qmp)
		return pt_out_usage("receive", "--out with --qmp: a guest's "
				    "memory goes to its QEMU alone");
	if (rx->pid && !rx->qmp)
		return pt_out_usage("receive", "--pid without --qmp");
	if (rx->serve_faults && !rx->qmp)
		return pt_out_usage("receive", "--serve-faults without --qmp");
	if (rx->qmp && (cfg->serve || cfg->resume || cfg->prealloc_sz))
		return pt_out_usage("receive", "--qmp with %s: a QEMU takes one "
				    "guest, in one transfer",
				    cfg->serve ? "--serve" : cfg->resume
				    ? "--resume" : "--prealloc");
	return -1;
}

/* parse returns -1 to go on, or an exit code. */
static int parse(struct pt_receive_run *rx, int argc, char **argv)
{
	int code = pt_options_parse(&pt_command_receive, rx, argc, argv);

	if (code < 0)
		code = pt_agent_check("receive", &rx->agent);
	if (code >= 0)
		return code;
	PT_AGENT_FILL(&rx->cfg, &rx->agent);
	code = check_place(rx);
	if (code < 0)
		code = check_template(rx);
	if (code >= 0)
		return code;
	if (rx->cfg.prealloc_sz && (rx->cfg.serve || rx->cfg.resume))
		return pt_out_usage("receive", "--prealloc with %s: it is for "
				    "one image, made anew",
				    rx->cfg.serve ? "--serve" : "--resume");
	if (rx->cfg.wait_ms && rx->cfg.serve)
		return pt_out_usage("receive", "--wait with --serve, which "
				    "waits for ever");
	if (rx->drain && !rx->cfg.serve)
		return pt_out_usage("receive", "--drain without --serve");
	if (rx->peers_path && (!rx->cfg.serve || rx->security.insecure))
		return pt_out_usage("receive", "--peers %s: it needs identities of "
				    "several senders", rx->cfg.serve ?
				    "with --insecure" : "without --serve");
	return pt_security_check("receive", &rx->security);
}

int pt_cmd_receive(int argc, char **argv)
{
	struct pt_receive_run rx = { .command = "receive" };
	int code = parse(&rx, argc, argv);

	return code >= 0 ? code : pt_receive_run(&rx);
}
