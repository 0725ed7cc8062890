/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>
#include <linux/capability.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/privilege.h"
#include "cli/report.h"
#include "cli/security.h"
#include "cli/stop.h"
#include "memory/source.h"
#include "transfer/queues.h"
#include "transfer/rate.h"
#include "transfer/sender.h"

#define FILES_MAX 1024

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
"      --generic            AF_XDP in copy mode, even if the driver can zero copy\n"
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

struct send {
	struct pt_send_cfg cfg;
	const char *files[FILES_MAX];
	struct pt_user user;
	struct pt_security security;
	pid_t pid;
	bool keep_running;
	bool json;
};

static void on_progress(const struct pt_send_report *r, void *arg)
{
	static __u64 left_before;
	__u64 done = r->page_cnt - r->pages_left;
	char wire[16];

	(void)arg;
	/* Four calls a second. */
	if (r->phase != PT_SEND_SEND)
		pt_out_progress("%s", pt_send_phase_name(r->phase));
	else if (left_before > r->pages_left)
		pt_out_progress("%3.0f %%  %s on the wire, %.0f MiB/s of "
				"memory, %.0f s left",
				r->page_cnt ? 100.0 * done / r->page_cnt : 100,
				pt_out_human(r->wire_bytes, wire),
				(left_before - r->pages_left) * 4 / 256.0,
				r->pages_left / 4.0 /
				(left_before - r->pages_left));
	else
		pt_out_progress("%3.0f %%  %s on the wire",
				r->page_cnt ? 100.0 * done / r->page_cnt : 100,
				pt_out_human(r->wire_bytes, wire));
	left_before = r->pages_left;
}

enum { OPT_DEV = 256, OPT_TO, OPT_PID, OPT_RUNNING, OPT_TRIM, OPT_WITH,
       OPT_NAME, OPT_RESUME, OPT_QUEUES, OPT_MTU, OPT_BANDWIDTH, OPT_CONTROL,
       OPT_GENERIC, OPT_USER, OPT_TIMEOUT, OPT_REKEY, OPT_PAD, OPT_PROFILE,
       OPT_OBSERVE, OPT_HUGEPAGES, OPT_CPUS, OPT_JSON };

static const struct option options[] = {
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "to", required_argument, NULL, OPT_TO },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "keep-running", no_argument, NULL, OPT_RUNNING },
	{ "trim", required_argument, NULL, OPT_TRIM },
	{ "observe", no_argument, NULL, OPT_OBSERVE },
	{ "with", required_argument, NULL, OPT_WITH },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "resume", no_argument, NULL, OPT_RESUME },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "mtu", required_argument, NULL, OPT_MTU },
	{ "max-bandwidth", required_argument, NULL, OPT_BANDWIDTH },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "hugepages", required_argument, NULL, OPT_HUGEPAGES },
	{ "cpus", required_argument, NULL, OPT_CPUS },
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

static void set_number(struct send *tx, int opt, __u64 number)
{
	switch (opt) {
	case OPT_PID:
		tx->pid = number;
		break;
	case OPT_QUEUES:
		tx->cfg.queue_cnt = number;
		break;
	case OPT_MTU:
		tx->cfg.mtu = number;
		break;
	case OPT_BANDWIDTH:
		tx->cfg.bytes_per_s = number;
		break;
	case OPT_TIMEOUT:
		tx->cfg.peer_timeout_ms = number * 1000;
		break;
	case OPT_REKEY:
		tx->cfg.rekey_log2 = __builtin_ctzll(number);
		break;
	}
}

/* parse_number: -1 if it was one and in range, -2 if opt is no number. */
static int parse_number(struct send *tx, int opt)
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
		set_number(tx, opt, number);
		return -1;
	}
	return -2;
}

static int parse_option(struct send *tx, int opt, const char *word)
{
	struct pt_error err;

	switch (opt) {
	case OPT_DEV:
		tx->cfg.dev = optarg;
		return -1;
	case OPT_TO:
		tx->cfg.to = optarg;
		return -1;
	case OPT_RUNNING:
		tx->keep_running = true;
		return -1;
	case OPT_TRIM:
		if (pt_trim_parse(optarg, &tx->cfg.trim))
			return pt_out_usage("send", "--trim '%s': want none, "
					    "ends or blocks", optarg);
		return -1;
	case OPT_HUGEPAGES:
		if (pt_hugepages_parse(optarg, &tx->cfg.hugepages))
			return pt_out_usage("send", "--hugepages '%s': want "
					    "off, thp, on or auto", optarg);
		return -1;
	case OPT_CPUS:
		if (pt_cpus_parse(&tx->cfg.cpus, optarg, &err))
			return pt_out_usage("send", "--cpus '%s': %s", optarg,
					    err.text);
		return -1;
	case OPT_WITH:
		if (tx->cfg.file_cnt == FILES_MAX)
			return pt_out_usage("send", "--with: at most %d files",
					    FILES_MAX);
		tx->files[tx->cfg.file_cnt++] = optarg;
		return -1;
	case OPT_NAME:
		if (strlen(optarg) > 128)
			return pt_out_usage("send", "--name: at most 128 "
					    "bytes");
		tx->cfg.name = optarg;
		return -1;
	case OPT_RESUME:
		tx->cfg.resume = true;
		return -1;
	case OPT_CONTROL:
		tx->cfg.control = optarg;
		return -1;
	case OPT_GENERIC:
		tx->cfg.generic = true;
		return -1;
	case OPT_USER:
		if (pt_user_parse(&tx->user, optarg, &err))
			return pt_out_usage("send", "%s", err.text);
		return -1;
	case OPT_PAD:
		tx->cfg.pad = true;
		return -1;
	case OPT_OBSERVE:
		tx->cfg.observe = true;
		return -1;
	case OPT_PROFILE:
		tx->cfg.profile = true;
		return -1;
	case OPT_JSON:
		tx->json = true;
		return -1;
	case 'h':
		fputs(help, stdout);
		return PT_EXIT_OK;
	default:
		return pt_out_usage("send", "'%s': wrong option, or its value "
				    "is missing", word);
	}
}

/* parse returns -1 to go on, or an exit code. */
static int parse(struct send *tx, int argc, char **argv)
{
	int opt, code;

	opterr = 0;	/* we say it, in one line */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		code = parse_number(tx, opt);
		if (code == -2)
			code = pt_security_option(&tx->security, opt);
		if (code == -2)
			code = parse_option(tx, opt, argv[optind - 1]);
		if (code >= 0)
			return code;
	}
	if (!tx->cfg.dev || !tx->cfg.to)
		return pt_out_usage("send", "%s is missing",
				    !tx->cfg.dev ? "--dev" : "--to");
	if (!tx->pid == (optind == argc))
		return pt_out_usage("send", "%s", tx->pid
				    ? "either SOURCE or --pid, not both"
				    : "no SOURCE, and no --pid");
	if (tx->cfg.pad && tx->security.insecure)
		return pt_out_usage("send", "--pad: hides nothing with "
				    "--insecure");
	if (tx->cfg.observe && (tx->cfg.pad || tx->cfg.trim == PT_TRIM_NONE))
		return pt_out_usage("send", "--observe: nothing is trimmed "
				    "with %s", tx->cfg.pad ? "--pad"
							   : "--trim none");
	return pt_security_check(&tx->security);
}

static int open_source(struct send *tx, int argc, char **argv,
		       struct pt_error *err)
{
	const char *slash;

	if (tx->pid)
		return pt_source_open_pid(&tx->cfg.source, tx->pid,
					  tx->keep_running, err);
	if (!tx->cfg.name) {
		slash = strrchr(argv[optind], '/');
		tx->cfg.name = slash ? slash + 1 : argv[optind];
	}
	return pt_source_open_files(&tx->cfg.source,
				    (const char *const *)argv + optind,
				    argc - optind, err);
}

/* needs_less: what a peer says is only heard as the user, and with no more than
 * its offer makes necessary. */
static int needs_less(enum pt_send_need need, void *arg, struct pt_error *err)
{
	const struct send *tx = arg;

	if (need == PT_SEND_NEEDS_NOTHING)
		return pt_privilege_drop(0, NULL, err);
	return pt_privilege_drop(PT_CAP(CAP_NET_RAW) | PT_CAP(CAP_IPC_LOCK),
				 &tx->user, err);
}

int pt_cmd_send(int argc, char **argv)
{
	struct send tx = {
		.cfg = {
			.trim = PT_TRIM_BLOCKS,
			.rekey_log2 = PT_REKEY_LOG2_MAX,
			.queue_cnt = 1,
			.peer_timeout_ms = 20000,
			.needs_less = needs_less,
			.needs_less_arg = &tx,
			.progress = on_progress,
		},
		.security = { .command = "send" },
	};
	struct pt_send_report report;
	struct pt_error err;
	int code = parse(&tx, argc, argv);
	int ret;

	if (code >= 0)
		return code;
	tx.cfg.files = tx.files;
	/* A stopped process cannot change; one kept running is meant to. */
	tx.cfg.recheck = !tx.pid;
	tx.cfg.ciphers = tx.security.ciphers;
	tx.cfg.stop_fd = pt_stop_open();
	pt_limits_raise_files();
	ret = pt_privilege_harden(&err);
	if (!ret)
		ret = pt_security_open(&tx.cfg.tls, &tx.security,
				       PT_ROLE_SENDER, &err);
	if (!ret)
		ret = open_source(&tx, argc, argv, &err);
	if (ret) {
		pt_tls_close(tx.cfg.tls);
		return pt_out_fail("send", &err);
	}
	ret = pt_send(&tx.cfg, &report, &err);
	pt_source_close(tx.cfg.source);
	pt_tls_close(tx.cfg.tls);
	pt_out_progress("%s", "");
	if (tx.json)
		pt_out_json(pt_report_send_json(&report, ret, &err));
	else if (!ret)
		pt_report_send_text(&report);
	return ret ? pt_out_fail("send", &err) : PT_EXIT_OK;
}
