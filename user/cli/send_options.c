/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/send_options.h"

#include <getopt.h>
#include <string.h>

#include "base/name.h"
#include "cli/commands.h"
#include "cli/compress.h"
#include "cli/output.h"
#include "lane/rate.h"
#include "session/queues.h"

#define ROOM_SZ		(64ULL << 20)

/* take_compress reads auto, off, lz4, zstd or zstd:LEVEL. */
static int take_compress(const char *command, void *to, const char *text)
{
	static const enum pt_send_compress modes[] = {
		[PT_COMPRESSION_NONE] = PT_SEND_COMPRESS_OFF,
		[PT_COMPRESSION_LZ4] = PT_SEND_COMPRESS_LZ4,
		[PT_COMPRESSION_ZSTD] = PT_SEND_COMPRESS_ZSTD,
	};
	struct pt_send_options *o = to;
	enum pt_compression method;
	int level = 0;

	o->cfg.compress = PT_SEND_COMPRESS_AUTO;
	if (!strcmp(text, "auto") || pt_compress_parse(text, &method, &level)) {
		if (strcmp(text, "auto"))
			o->cfg.compress = modes[method];
		o->cfg.compress_level = level;
		return -1;
	}
	return pt_out_usage(command, "--compress %s: want auto, off, lz4, zstd or "
			    "zstd:LEVEL, 1..%d", text, PT_COMPRESS_LEVEL_MAX);
}

static int take_file(const char *command, void *to, const char *text)
{
	struct pt_send_options *o = to;

	if (o->cfg.file_cnt == PT_SEND_FILES_MAX)
		return pt_out_usage(command, "--with: at most %d files",
				    PT_SEND_FILES_MAX);
	o->files[o->cfg.file_cnt++] = text;
	return -1;
}

const struct pt_option pt_send_required_options[] = {
	{ "dev", "DEV", "network device; the route to HOST must use it",
	  PT_OPTION(TEXT, struct pt_send_options, cfg.dev),
	  .offers = "device", .required = true },
	{ "to", "HOST[:PORT]", "the receiver (default port 16644)",
	  PT_OPTION(TEXT, struct pt_send_options, cfg.to), .offers = "host",
	  .required = true },
	{ }
};

static const struct pt_option_word trims[] = {
	{ "none", PT_SEND_TRIM_NONE }, { "ends", PT_SEND_TRIM_ENDS },
	{ "blocks", PT_SEND_TRIM_BLOCKS }, { }
};

static const struct pt_option_word copies[] = {
	{ "auto", PT_SEND_COPIES_AUTO }, { "on", PT_SEND_COPIES_ON },
	{ "off", PT_SEND_COPIES_OFF }, { }
};

static const struct pt_option_word unreadable[] = {
	{ "mark", PT_UNREADABLE_MARK }, { "fail", PT_UNREADABLE_FAIL },
	{ "zero", PT_UNREADABLE_ZERO }, { }
};

static const struct pt_option options[] = {
	{ "pid", "PID",
	  "send the private memory of a process; it is stopped "
	  "meanwhile.  Layout: pagetrim-send(8)",
	  PT_OPTION(NUMBER, struct pt_send_options, pid), .min = 1,
	  .max = 1 << 22, .offers = "pid" },
	{ "template", "NAME",
	  "send a template, and its small files: pagetrim-template(8); FOLDER/NAME "
	  "is one of another folder",
	  PT_OPTION(TEXT, struct pt_send_options, template) },
	{ "keep-running", NULL,
	  "do not stop the process: the copy is not a consistent snapshot",
	  PT_OPTION(FLAG, struct pt_send_options, keep_running) },
	{ "live", NULL,
	  "the process runs on: its memory is sent in rounds, and it is stopped "
	  "for the last one only",
	  PT_OPTION(FLAG, struct pt_send_options, is_live) },
	{ "room", "SIZE",
	  "with --live: address space before and after each mapping, for memory "
	  "that the process maps meanwhile, with K, M, G or T for powers of 1024 "
	  "(default 64M)",
	  PT_OPTION(NUMBER, struct pt_send_options, room_sz),
	  .max = 1ULL << 44, .suffix = true, .initial = ROOM_SZ,
	  .offers = "=0 64M 1G" },
	{ "observe", NULL,
	  "trim everything, and with --compress auto compress nothing: only count "
	  "the pages that would not have been searched, and the frames that would "
	  "have been compressed",
	  PT_OPTION(FLAG, struct pt_send_options, cfg.observe) },
	{ "copies", "HOW",
	  "a page that equals another goes as a copy of it: auto: where the "
	  "receiver takes copies, but not with --pad (default); on: or it fails; "
	  "off",
	  PT_OPTION(WORD, struct pt_send_options, cfg.copies),
	  .words = copies },
	{ "with", "FILE",
	  "send FILE too, committed with the memory or not at all; may be "
	  "repeated, 1024 times at most",
	  .kind = PT_OPTION_OWN, .take = take_file, .repeats = true,
	  .offers = "file" },
	{ "name", "NAME",
	  "the image's name at a receiver with --serve (default: the last part "
	  "of the first SOURCE)",
	  PT_OPTION(TEXT, struct pt_send_options, cfg.name) },
	{ "resume", NULL,
	  "send only the pages that a receiver with --resume does not hold yet",
	  PT_OPTION(FLAG, struct pt_send_options, cfg.resume) },
	{ }
};

const struct pt_option pt_send_common_options[] = {
	{ "trim", "HOW",
	  "none: non-zero pages whole; ends: without zero blocks at head and "
	  "tail; blocks: without any zero block (default)",
	  PT_OPTION(WORD, struct pt_send_options, cfg.trim), .words = trims,
	  .initial = PT_SEND_TRIM_BLOCKS },
	{ "on-unreadable", "HOW",
	  "a page that cannot be read: mark: it is unreadable at the receiver, "
	  "too (default where the memory changes); fail (default else); zero: "
	  "it counts as zero",
	  PT_OPTION(WORD, struct pt_send_options, on_unreadable),
	  .words = unreadable },
	{ "compress", "HOW",
	  "the blocks of each frame are compressed: auto: where that is faster "
	  "(default); off; lz4; zstd, or zstd:LEVEL, 1..19 (default 1)",
	  .kind = PT_OPTION_OWN, .take = take_compress,
	  .offers = "=auto off lz4 zstd zstd:3" },
	{ "mtu", "N",
	  "frames for an MTU of N, 1280..65535, or auto: as large as probes "
	  "show to pass (default)",
	  PT_OPTION(NUMBER, struct pt_send_options, cfg.mtu),
	  .min = PT_MTU_MIN, .max = PT_MTU_MAX, .has_auto = true,
	  .auto_value = 0, .offers = "=1280 1500 9000 65535" },
	{ "lanes", "N",
	  "streams of frames, 1..64 (default one a queue): more share the queues, "
	  "for a receiver that has more of them",
	  PT_OPTION(NUMBER, struct pt_send_options, cfg.lane_cnt), .min = 1,
	  .max = PT_LANES_MAX },
	{ "max-bandwidth", "N",
	  "Ethernet bytes a second at most, from 64K on, such as 64M, 1.5GiB or "
	  "10Gbit/s; auto: the link's speed, if known; 0: no limit (default)",
	  PT_OPTION(NUMBER, struct pt_send_options, cfg.bytes_per_s),
	  .max = PT_RATE_MAX, .suffix = true, .is_rate = true,
	  .want = PT_RATE_WANT, .has_auto = true, .auto_value = PT_RATE_AUTO },
	{ "control", "PATH",
	  "a socket for 'pagetrim ctl' while the transfer runs",
	  PT_OPTION(TEXT, struct pt_send_options, control),
	  .offers = "file" },
	{ "rekey-frames", "N",
	  "frames to a key, a power of two, 65536..4194304 (default 4194304)",
	  PT_OPTION(NUMBER, struct pt_send_options, cfg.rekey_log2),
	  .min = 1 << PT_REKEY_LOG2_MIN, .max = 1 << PT_REKEY_LOG2_MAX,
	  .log2 = true, .initial = 1 << PT_REKEY_LOG2_MAX },
	{ "pad", NULL,
	  "send zero pages and blocks too, in frames of one size: an observer "
	  "learns nothing of what is empty",
	  PT_OPTION(FLAG, struct pt_send_options, cfg.pad) },
	{ "generic", NULL, "AF_XDP in copy mode, as --zero-copy off",
	  PT_OPTION(FLAG, struct pt_send_options, agent.generic) },
	{ "json", NULL, "one JSON object on stdout; keys: pagetrim-send(8)",
	  PT_OPTION(FLAG, struct pt_send_options, agent.json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", pt_send_required_options, 0 },
	{ "and one of:", pt_security_options,
	  offsetof(struct pt_send_options, security) },
	{ "Options:", options, 0 },
	{ NULL, pt_leftout_options, offsetof(struct pt_send_options, left) },
	{ NULL, pt_live_options, offsetof(struct pt_send_options, live) },
	{ NULL, pt_send_common_options, 0 },
	{ NULL, pt_security_sender_options,
	  offsetof(struct pt_send_options, security) },
	{ NULL, pt_agent_options, offsetof(struct pt_send_options, agent) },
	{ }
};

const struct pt_command pt_command_send = {
	.name = "send",
	.usage =
	"Usage: pagetrim send --dev DEV --to HOST SOURCE... [options]\n"
	"       pagetrim send --dev DEV --to HOST --pid PID [--live] [options]\n"
	"       pagetrim send --dev DEV --to HOST --template NAME [options]\n"
	"\n"
	"Sends memory, trimmed of its zero blocks, to a 'pagetrim receive'.  The\n"
	"memory must stand still: a change while it is sent fails the transfer, except\n"
	"with --live.\n"
	"\n"
	"SOURCE is a raw memory image, a memfd (/proc/PID/fd/N), /dev/shm or hugetlbfs\n"
	"file, or a block device; several are segments of one memory, in the order\n"
	"given.  A single NAME.ptrim is an image at rest: pagetrim-image(8).\n",
	.groups = groups,
	.notes =
	"AF_XDP bypasses the firewall (netfilter) and traffic control (tc) of DEV: use\n"
	"--max-bandwidth for a limit.\n"
	"\n"
	"Exit: 0 committed, 1 failed or interrupted, 2 wrong usage, 3 this host lacks\n"
	"      something, 4 the receiver is absent, silent or gave up, 5 copy or ledger\n"
	"      wrong, 6 outcome unknown: look for the image at the receiver.\n"
	"Example: pagetrim send --psk key --dev eth1 --to 10.0.0.2 /dev/shm/vm.ram\n",
	.arguments = { "file" },
};

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* check_files: the receiver stores the files in one folder. */
static int check_files(const struct pt_send_options *o)
{
	const char *const *files = o->files, *fault;

	for (__u32 i = 0; i < o->cfg.file_cnt; i++) {
		fault = pt_name_file_fault(last_part(files[i]));
		if (fault)
			return pt_out_usage("send", "--with '%s': no receiver "
					    "stores a file of that name: %s "
					    "(rename it)", files[i], fault);
		for (__u32 k = 0; k < i; k++)
			if (!strcmp(last_part(files[i]), last_part(files[k])))
				return pt_out_usage("send", "--with '%s' and "
						    "'%s': have one name at "
						    "the receiver (rename one)",
						    files[k], files[i]);
	}
	return -1;
}

static int check_name(const char *name)
{
	const char *fault = name ? pt_name_image_fault(name) : NULL;

	return fault ? pt_out_usage("send", "--name '%s': not a name for an "
				    "image: %s", name, fault) : -1;
}

static int check_live(const struct pt_send_options *o)
{
	if (!o->is_live)
		return pt_live_options_are_given(&o->live) ||
		       o->room_sz != ROOM_SZ
			? pt_out_usage("send", "--downtime-limit, --max-rounds, "
				       "--deadline, --on-no-converge, --tracker, "
				       "--delta-cache and --room need --live")
			: -1;
	if (!o->pid)
		return pt_out_usage("send", "--live needs --pid");
	if (o->live.cfg.converge.otherwise == PT_NO_CONVERGE_THROTTLE)
		return pt_out_usage("send", "--on-no-converge throttle: only a "
				    "guest can be throttled, by pagetrim migrate");
	if (o->keep_running)
		return pt_out_usage("send", "--live stops the process for the "
				    "last round, which --keep-running forbids "
				    "(leave one out)");
	if (o->cfg.resume)
		return pt_out_usage("send", "--resume: a process that runs on "
				    "is sent from its beginning (leave out "
				    "--live)");
	return -1;
}

/* check_together returns -1 if the options agree with one another, or an exit
 * code. */
static int check_together(const struct pt_send_options *o)
{
	const struct pt_sender_cfg *cfg = &o->cfg;
	int code;

	if (!!o->pid + !!o->source_cnt + !!o->template != 1)
		return pt_out_usage("send", "%s", o->pid || o->template
				    ? "one of SOURCE, --pid and --template, not more"
				    : "no SOURCE, and no --pid");
	if (!o->pid && (o->left.skip_shared || o->left.skip_userfault))
		return pt_out_usage("send", "--skip-shared and "
				    "--skip-userfault need --pid");
	if (o->keep_running && !o->pid)
		return pt_out_usage("send", "--keep-running needs --pid");
	code = check_live(o);
	if (code >= 0)
		return code;
	if (cfg->pad && o->security.insecure)
		return pt_out_usage("send", "--pad: hides nothing with "
				    "--insecure");
	if (cfg->pad && cfg->copies == PT_SEND_COPIES_ON)
		return pt_out_usage("send", "--copies on: sizes tell of equal "
				    "pages, which --pad hides (leave one "
				    "out)");
	if (cfg->pad && cfg->compress > PT_SEND_COMPRESS_OFF)
		return pt_out_usage("send", "--compress: sizes tell of the "
				    "content, which --pad hides (leave one "
				    "out)");
	code = check_name(cfg->name);
	if (code < 0)
		code = check_files(o);
	if (code < 0)
		code = pt_agent_check("send", &o->agent);
	if (code >= 0)
		return code;
	if (cfg->observe && (cfg->pad || cfg->trim == PT_SEND_TRIM_NONE))
		return pt_out_usage("send", "--observe: nothing is trimmed "
				    "with %s", cfg->pad ? "--pad"
							: "--trim none");
	return pt_security_check("send", &o->security);
}

void pt_send_options_unreadable(const struct pt_send_options *o, bool changes)
{
	enum pt_on_unreadable how = o->on_unreadable;

	if (how == PT_UNREADABLE_DEFAULT)
		how = changes ? PT_UNREADABLE_MARK : PT_UNREADABLE_FAIL;
	pt_source_on_unreadable(o->cfg.source, how);
}

int pt_send_options_parse(struct pt_send_options *o, int argc, char **argv)
{
	int code;

	*o = (struct pt_send_options){ 0 };
	code = pt_options_parse(&pt_command_send, o, argc, argv);
	if (code >= 0)
		return code;
	PT_AGENT_FILL(&o->cfg, &o->agent);
	pt_live_options_fill(&o->live, &o->cfg);
	o->sources = (const char *const *)argv + optind;
	o->source_cnt = argc - optind;
	o->cfg.files = o->files;
	o->cfg.ciphers = o->security.ciphers;
	/* A stopped process cannot change; one that keeps running may. */
	o->cfg.recheck = !o->pid;
	return check_together(o);
}
