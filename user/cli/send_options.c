/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/send_options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "cli/output.h"
#include "transfer/queues.h"
#include "transfer/rate.h"

static const char help[] =
"Usage: pagetrim send --dev DEV --to HOST SOURCE... [options]\n"
"       pagetrim send --dev DEV --to HOST --pid PID [options]\n"
"\n"
"Sends memory, trimmed of its zero blocks, to a 'pagetrim receive'.  The\n"
"memory must stand still: a change while it is sent fails the transfer.\n"
"\n"
"SOURCE is a raw memory image, or a memfd (/proc/PID/fd/N), /dev/shm or\n"
"hugetlbfs file; several are segments of one memory, in the order given.\n"
"\n"
"Required:\n"
"      --dev DEV            network device; the route to HOST must use it\n"
"      --to HOST[:PORT]     the receiver (default port 16644)\n"
"and one of:\n"
"      --psk FILE           the key that both hosts share: 'pagetrim keygen'\n"
"      --tls-cert FILE      or: this host's certificate, in PEM, with\n"
"      --tls-key FILE       its key, and\n"
"      --tls-ca FILE        the authorities that sign the other host's\n"
"      --insecure           nothing is encrypted, nobody authenticated; on both\n"
"                           hosts\n"
"Options:\n"
"      --pid PID            send the private writable memory of a process; it\n"
"                           is stopped meanwhile.  Layout: pagetrim-send(8)\n"
"      --keep-running       do not stop the process: the copy mixes moments\n"
"      --trim HOW           none: non-zero pages whole; ends: without zero\n"
"                           blocks at head and tail; blocks: without any zero\n"
"                           block (default)\n"
"      --observe            trim everything; of memory where it does not pay,\n"
"                           only tell what would not have been searched\n"
"      --copies HOW         a page that equals another goes as a copy of it:\n"
"                           auto: where frames are not sealed and the receiver\n"
"                           takes copies (default); on: or it fails; off\n"
"      --with FILE          take FILE along, committed with the memory or not\n"
"                           at all; may be repeated, 1024 times at most\n"
"      --name NAME          what a receiver with --serve calls it (default: the\n"
"                           last part of the first SOURCE)\n"
"      --resume             send only what a receiver with --resume does not\n"
"                           hold already of this image\n"
"      --queues N           TX queues to use, a lane each, 1..64 (default 1), or\n"
"                           auto: those free, no more than the receiver or CPUs\n"
"      --mtu N              frames for an MTU of N, 1280..65535, or auto: as\n"
"                           large as probes show to pass (default)\n"
"      --max-bandwidth N    Ethernet bytes a second at most, from 64K on, with K,\n"
"                           M, G or T for powers of 1024; auto: the link's speed,\n"
"                           if known; 0: no limit (default)\n"
"      --control PATH       a socket to ask and change this transfer by while it\n"
"                           runs: 'pagetrim status' and 'pagetrim set'\n"
"      --hugepages HOW      for the memory of lanes, 8 MiB each: off, thp: where\n"
"                           the kernel has some at hand (default), on: from the\n"
"                           reserved pool, or auto: on, or else thp\n"
"      --cpus LIST          CPUs to keep the threads of lanes on, in their order,\n"
"                           as 0,2-3 (default: any)\n"
"      --tls-hostname NAME  the receiver's certificate is of NAME (default: HOST)\n"
"      --cipher CIPHER      aes-128-gcm, aes-256-gcm or chacha20-poly1305; may be\n"
"                           repeated (default: the best of both hosts)\n"
"      --rekey-frames N     frames to a key, a power of two, 65536..4194304\n"
"                           (default 4194304)\n"
"      --pad                send zero pages and blocks too, in frames of one\n"
"                           size: an observer learns nothing of what is empty\n"
"      --zero-copy HOW      auto: frames are not copied where the driver can and\n"
"                           nobody loses by it (default); on: or it is refused;\n"
"                           off: AF_XDP in copy mode\n"
"      --generic            AF_XDP in copy mode, as --zero-copy off\n"
"      --user USER          go on as NAME, UID or UID:GID once all is opened\n"
"      --peer-timeout S     give up on a silent receiver after S seconds,\n"
"                           1..3600 (default 20)\n"
"      --profile            tell where the time went, stage by stage, and how\n"
"                           many bytes each worked on\n"
"      --json               one JSON object on stdout; keys: pagetrim-send(8)\n"
"  -h, --help               this text, on stdout, exit 0\n"
"\n"
"AF_XDP bypasses the firewall (netfilter) and traffic control (tc) of DEV: use\n"
"--max-bandwidth for a limit.\n"
"\n"
"Exit: 0 committed, 1 failed or interrupted, 2 wrong usage, 3 this host lacks\n"
"      something, 4 the receiver is absent, silent or gave up, 5 copy or ledger\n"
"      wrong, 6 outcome unknown: look for the image at the receiver.\n"
"Example: pagetrim send --psk key --dev eth1 --to 10.0.0.2 /dev/shm/vm.ram\n";

enum { OPT_DEV = 256, OPT_TO, OPT_PID, OPT_RUNNING, OPT_TRIM, OPT_OBSERVE,
       OPT_COPIES, OPT_WITH, OPT_NAME, OPT_RESUME, OPT_QUEUES, OPT_MTU,
       OPT_BANDWIDTH, OPT_CONTROL, OPT_HUGEPAGES, OPT_CPUS, OPT_ZERO_COPY,
       OPT_GENERIC, OPT_USER, OPT_TIMEOUT, OPT_REKEY, OPT_PAD, OPT_PROFILE, OPT_JSON };

static const struct option options[] = {
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "to", required_argument, NULL, OPT_TO },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "keep-running", no_argument, NULL, OPT_RUNNING },
	{ "trim", required_argument, NULL, OPT_TRIM },
	{ "observe", no_argument, NULL, OPT_OBSERVE },
	{ "copies", required_argument, NULL, OPT_COPIES },
	{ "with", required_argument, NULL, OPT_WITH },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "resume", no_argument, NULL, OPT_RESUME },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "mtu", required_argument, NULL, OPT_MTU },
	{ "max-bandwidth", required_argument, NULL, OPT_BANDWIDTH },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "hugepages", required_argument, NULL, OPT_HUGEPAGES },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "zero-copy", required_argument, NULL, OPT_ZERO_COPY },
	{ "generic", no_argument, NULL, OPT_GENERIC },
	{ "user", required_argument, NULL, OPT_USER },
	{ "peer-timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "rekey-frames", required_argument, NULL, OPT_REKEY },
	{ "pad", no_argument, NULL, OPT_PAD },
	PT_SECURITY_OPTIONS,
	{ "tls-hostname", required_argument, NULL, PT_SECURITY_HOSTNAME },
	{ "profile", no_argument, NULL, OPT_PROFILE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/* number_option: one option with a range. */
static const struct number_option {
	int opt;
	const char *name;
	__u64 min, max;
	bool suffix;
	const __u64 *auto_value;	/* what the word auto stands for; NULL:
					 * it is no value */
} numbers[] = {
	{ OPT_PID, "--pid", 1, 1 << 22, false, NULL },
	{ OPT_QUEUES, "--queues", 1, PT_LANES_MAX, false,
	  &(const __u64){ PT_QUEUES_AUTO } },
	{ OPT_MTU, "--mtu", PT_MTU_MIN, PT_MTU_MAX, false,
	  &(const __u64){ 0 } },
	{ OPT_BANDWIDTH, "--max-bandwidth", 0, PT_RATE_MAX, true,
	  &(const __u64){ PT_RATE_AUTO } },
	{ OPT_TIMEOUT, "--peer-timeout", 1, 3600, false, NULL },
	{ OPT_REKEY, "--rekey-frames", 1 << PT_REKEY_LOG2_MIN,
	  1 << PT_REKEY_LOG2_MAX, false, NULL },
};

static void set_number(struct pt_send_options *o, int opt, __u64 number)
{
	switch (opt) {
	case OPT_PID:
		o->pid = number;
		break;
	case OPT_QUEUES:
		o->cfg.queue_cnt = number;
		break;
	case OPT_MTU:
		o->cfg.mtu = number;
		break;
	case OPT_BANDWIDTH:
		o->cfg.bytes_per_s = number;
		break;
	case OPT_TIMEOUT:
		o->cfg.peer_timeout_ms = number * 1000;
		break;
	case OPT_REKEY:
		o->cfg.rekey_log2 = __builtin_ctzll(number);
		break;
	}
}

/* parse_number: -1 if it was one and in range, -2 if opt is no number. */
static int parse_number(struct pt_send_options *o, int opt)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct number_option *n = &numbers[i];
		__u64 number;

		if (n->opt != opt)
			continue;
		if (n->auto_value && !strcmp(optarg, "auto"))
			number = *n->auto_value;
		else if (!pt_out_number(optarg, n->min, n->max, n->suffix,
					&number))
			return pt_out_usage("send", "%s '%s': want "
					    "%llu..%llu%s", n->name, optarg,
					    (unsigned long long)n->min,
					    (unsigned long long)n->max,
					    n->auto_value ? ", or auto" : "");
		if (opt == OPT_REKEY && number & (number - 1))
			return pt_out_usage("send", "--rekey-frames '%s': want "
					    "a power of two, such as %llu",
					    optarg, 1ULL <<
					    (63 - __builtin_clzll(number)));
		set_number(o, opt, number);
		return -1;
	}
	return -2;
}

/* flag_of: what an option without a value sets; NULL: opt is none. */
static bool *flag_of(struct pt_send_options *o, int opt)
{
	switch (opt) {
	case OPT_RUNNING:
		return &o->keep_running;
	case OPT_OBSERVE:
		return &o->cfg.observe;
	case OPT_RESUME:
		return &o->cfg.resume;
	case OPT_PAD:
		return &o->cfg.pad;
	case OPT_GENERIC:
		return &o->cfg.generic;
	case OPT_PROFILE:
		return &o->cfg.profile;
	case OPT_JSON:
		return &o->json;
	default:
		return NULL;
	}
}

/* text_of: where an option's value goes as it stands; NULL: opt is none. */
static const char **text_of(struct pt_send_options *o, int opt)
{
	switch (opt) {
	case OPT_DEV:
		return &o->cfg.dev;
	case OPT_TO:
		return &o->cfg.to;
	case OPT_NAME:
		return &o->cfg.name;
	case OPT_CONTROL:
		return &o->cfg.control;
	default:
		return NULL;
	}
}

static int copies_parse(const char *text, enum pt_send_copies *out)
{
	static const char *const names[] = {
		[PT_SEND_COPIES_AUTO] = "auto",
		[PT_SEND_COPIES_ON] = "on",
		[PT_SEND_COPIES_OFF] = "off",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(text, names[i])) {
			*out = i;
			return 0;
		}
	return -EINVAL;
}

/* parse_word: an option that takes one of a few words: -1 if it was one, -2 if
 * opt is no such option. */
static int parse_word(struct pt_send_options *o, int opt)
{
	switch (opt) {
	case OPT_TRIM:
		if (!pt_trim_parse(optarg, &o->cfg.trim))
			return -1;
		return pt_out_usage("send", "--trim '%s': want none, ends or "
				    "blocks", optarg);
	case OPT_COPIES:
		if (!copies_parse(optarg, &o->cfg.copies))
			return -1;
		return pt_out_usage("send", "--copies '%s': want auto, on or "
				    "off", optarg);
	case OPT_HUGEPAGES:
		if (!pt_hugepages_parse(optarg, &o->cfg.hugepages))
			return -1;
		return pt_out_usage("send", "--hugepages '%s': want off, thp, "
				    "on or auto", optarg);
	case OPT_ZERO_COPY:
		if (!pt_zero_copy_parse(optarg, &o->cfg.zero_copy))
			return -1;
		return pt_out_usage("send", "--zero-copy '%s': want auto, on or "
				    "off", optarg);
	default:
		return -2;
	}
}

/* parse_other: what has a form of its own; -2 if opt is no option at all. */
static int parse_other(struct pt_send_options *o, int opt)
{
	struct pt_error err;

	switch (opt) {
	case OPT_WITH:
		if (o->cfg.file_cnt == PT_SEND_FILES_MAX)
			return pt_out_usage("send", "--with: at most %d files",
					    PT_SEND_FILES_MAX);
		o->files[o->cfg.file_cnt++] = optarg;
		return -1;
	case OPT_CPUS:
		if (!pt_cpus_parse(&o->cfg.cpus, optarg, &err))
			return -1;
		return pt_out_usage("send", "--cpus '%s': %s", optarg,
				    err.text);
	case OPT_USER:
		if (!pt_user_parse(&o->user, optarg, &err))
			return -1;
		return pt_out_usage("send", "%s", err.text);
	case 'h':
		fputs(help, stdout);
		return PT_EXIT_OK;
	default:
		return -2;
	}
}

/* parse_option: -1 to go on, or an exit code. */
static int parse_option(struct pt_send_options *o, int opt, const char *word)
{
	const char **text = text_of(o, opt);
	bool *flag = flag_of(o, opt);
	int code;

	if (flag) {
		*flag = true;
		return -1;
	}
	if (text) {
		*text = optarg;
		return -1;
	}
	code = parse_number(o, opt);
	if (code == -2)
		code = parse_word(o, opt);
	if (code == -2)
		code = parse_other(o, opt);
	if (code == -2)
		code = pt_security_option(&o->security, opt);
	if (code == -2)
		code = pt_out_usage("send", "'%s': wrong option, or its value "
				    "is missing", word);
	return code;
}

/* check_together: -1 if the options go with one another, or an exit code. */
static int check_together(const struct pt_send_options *o)
{
	const struct pt_send_cfg *cfg = &o->cfg;

	if (!cfg->dev || !cfg->to)
		return pt_out_usage("send", "%s is missing",
				    !cfg->dev ? "--dev" : "--to");
	if (!o->pid == !o->source_cnt)
		return pt_out_usage("send", "%s", o->pid
				    ? "either SOURCE or --pid, not both"
				    : "no SOURCE, and no --pid");
	if (cfg->name && strlen(cfg->name) > 128)
		return pt_out_usage("send", "--name: at most 128 bytes");
	if (cfg->pad && o->security.insecure)
		return pt_out_usage("send", "--pad: hides nothing with "
				    "--insecure");
	if (cfg->pad && cfg->copies == PT_SEND_COPIES_ON)
		return pt_out_usage("send", "--copies on: tells which pages "
				    "are equal, which --pad hides (leave one "
				    "out)");
	if (cfg->generic && cfg->zero_copy == PT_ZERO_COPY_ON)
		return pt_out_usage("send", "--zero-copy on: not with "
				    "--generic, which copies");
	if (cfg->observe && (cfg->pad || cfg->trim == PT_TRIM_NONE))
		return pt_out_usage("send", "--observe: nothing is trimmed "
				    "with %s", cfg->pad ? "--pad"
							: "--trim none");
	return pt_security_check(&o->security);
}

int pt_send_options_parse(struct pt_send_options *o, int argc, char **argv)
{
	int opt, code;

	*o = (struct pt_send_options){
		.cfg = {
			.trim = PT_TRIM_BLOCKS,
			.rekey_log2 = PT_REKEY_LOG2_MAX,
			.queue_cnt = 1,
			.peer_timeout_ms = 20000,
		},
		.security = { .command = "send" },
	};
	opterr = 0;	/* we say it, in one line */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		code = parse_option(o, opt, argv[optind - 1]);
		if (code >= 0)
			return code;
	}
	o->sources = (const char *const *)argv + optind;
	o->source_cnt = argc - optind;
	o->cfg.files = o->files;
	o->cfg.ciphers = o->security.ciphers;
	/* A stopped process cannot change; one kept running is meant to. */
	o->cfg.recheck = !o->pid;
	return check_together(o);
}
