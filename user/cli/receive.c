/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/privilege.h"
#include "cli/report.h"
#include "cli/security.h"
#include "cli/stop.h"
#include "memory/layout.h"
#include "transfer/queues.h"
#include "transfer/receiver.h"

static const char help[] =
"Usage: pagetrim receive --dev DEV --listen ADDR --out PATH [options]\n"
"\n"
"Receives memory sent by 'pagetrim send' and rebuilds it in PATH.  PATH\n"
"appears when all has arrived, was compared and is on disk; until then it is\n"
"PATH.partial.  Ends after one transfer.\n"
"\n"
"Required:\n"
"      --dev DEV            network device that the frames arrive on\n"
"      --listen ADDR[:PORT] address of DEV to listen on; TCP and UDP port\n"
"                           (default 16644)\n"
"      --out PATH           image to make; must not exist.  A file, or a file\n"
"                           on a tmpfs or hugetlbfs.  With --serve a folder\n"
"and one of:\n"
"      --psk FILE           the key that both hosts share: 'pagetrim keygen'\n"
"      --tls-cert FILE      or: this host's certificate, in PEM, with\n"
"      --tls-key FILE       its key, and\n"
"      --tls-ca FILE        the authorities that sign the other host's\n"
"      --insecure           nothing is encrypted, nobody authenticated; on both\n"
"                           hosts\n"
"Options:\n"
"      --serve              keep accepting, up to 64 transfers at once, each\n"
"                           to its own name in the folder PATH, until a signal\n"
"      --tls-peer NAME      the sender's certificate must be of NAME; may be\n"
"                           repeated (default: any that --tls-ca signed)\n"
"      --cipher CIPHER      take frames sealed with aes-128-gcm, aes-256-gcm or\n"
"                           chacha20-poly1305; may be repeated (default: all)\n"
"      --resume             keep what a transfer that fails has brought, as\n"
"                           PATH.partial with PATH.journal; and take it up when\n"
"                           a sender with --resume comes again\n"
"      --queues N           receive queues to use, 1..64 (default 1), or auto:\n"
"                           those free, no more than CPUs\n"
"      --prealloc SIZE      allocate SIZE bytes of the image, with K, M, G or T\n"
"                           for powers of 1024, before a sender comes; with\n"
"                           neither --serve nor --resume\n"
"      --max-memory N       bytes of memory that senders may announce, all\n"
"                           transfers together, with K, M, G or T for powers\n"
"                           of 1024 (default 16T)\n"
"      --max-transfers N    transfers that one peer may have at once, that is one\n"
"                           address or one certificate's name, 1..64 (default\n"
"                           48)\n"
"      --max-peer-memory N  bytes of memory that all transfers of one peer may\n"
"                           announce (default: no limit but --max-memory)\n"
"      --max-files SIZE     bytes of the files that come with a transfer, of\n"
"                           each 4096 more (default 1T)\n"
"      --max-peer-files SIZE  the same, of all transfers of one peer at once\n"
"                           (default: no limit)\n"
"      --hugepages HOW      for the memory of queues, 8 MiB each: off, thp: where\n"
"                           the kernel has some at hand (default), on: from the\n"
"                           reserved pool, or auto: on, or else thp\n"
"      --cpus LIST          CPUs to keep the threads of queues on, in their\n"
"                           order, as 0,2-3 (default: any)\n"
"      --zero-copy HOW      auto: frames are not copied where the driver can and\n"
"                           nobody loses by it (default); on: or it is refused;\n"
"                           off: AF_XDP in copy mode\n"
"      --generic            XDP in the network stack, not in the driver; never\n"
"                           chosen by itself\n"
"      --user USER          go on as NAME, UID or UID:GID once all is opened; the\n"
"                           image is made as that user\n"
"      --peer-timeout S     give up on a silent sender after S seconds, 1..3600\n"
"                           (default 20)\n"
"      --profile            tell where the time went, stage by stage, and how\n"
"                           many bytes each worked on\n"
"      --json               one JSON object on stdout (with --serve one a\n"
"                           transfer); keys: pagetrim-receive(8)\n"
"  -h, --help               this text, on stdout, exit 0\n"
"\n"
"Uses the program of 'pagetrim attach' if DEV has it, else attaches one for as\n"
"long as it runs.  AF_XDP bypasses the firewall (netfilter) and tc on DEV.\n"
"\n"
"Exit: 0 committed, 1 failed or interrupted, 2 wrong usage, 3 this host lacks\n"
"      something, 4 the sender vanished or gave up, 5 copy or ledger wrong.\n"
"Example: pagetrim receive --psk key --dev eth1 --listen 10.0.0.2 --out vm.ram\n";

struct receive {
	struct pt_receiver_cfg cfg;
	struct pt_user user;
	struct pt_security security;
	bool json;
	__u64 stranger_time;		/* the second of stranger_cnt */
	unsigned stranger_cnt;		/* turned away in it */
};

#define STRANGERS_MAX	10	/* lines a second about them */

static void on_opened(const struct pt_receive_report *r, void *arg)
{
	char memory[16];

	(void)arg;
	pt_out_log("transfer %016llx from %s: %s to %s%s",
		   (unsigned long long)r->transfer_id, r->peer,
		   pt_out_human(r->memory_sz, memory), r->path,
		   r->is_resumed ? ", resumes" : "");
}

static void on_progress(const struct pt_receive_report *r, void *arg)
{
	char placed[16], memory[16];

	(void)arg;
	pt_out_progress("%s: %s of data placed, memory %s", r->path,
			pt_out_human(r->placed_sz, placed),
			pt_out_human(r->memory_sz, memory));
}

static void on_waiting(const struct pt_receive_report *r, bool begins, void *arg)
{
	(void)arg;
	if (begins)
		pt_out_log("%s: waiting for storage", r->path);
	else
		pt_out_log("%s: storage goes on, after %.1f s", r->path,
			   r->waited_ns / 1e9);
}

static void on_ended(const struct pt_receive_report *r, void *arg)
{
	const struct receive *rx = arg;

	pt_out_progress("%s", "");
	if (rx->cfg.serve && r->result)
		pt_out_log("transfer %016llx from %s failed: %s",
			   (unsigned long long)r->transfer_id, r->peer,
			   r->error.text);
	if (r->is_kept)
		pt_out_log("kept %s.partial: to be taken up, start both with "
			   "--resume", r->path);
	if (rx->json)
		pt_out_json(pt_report_receive_json(r));
	else if (!r->result)
		pt_report_receive_text(r);
}

/* on_stranger: a log is a place that strangers can fill. */
static void on_stranger(const struct pt_error *err, void *arg)
{
	struct receive *rx = arg;
	__u64 now = pt_clock_ns() / 1000000000;

	if (now != rx->stranger_time) {
		if (rx->stranger_cnt > STRANGERS_MAX)
			pt_out_log("turned away: %u more within a second",
				   rx->stranger_cnt - STRANGERS_MAX);
		rx->stranger_time = now;
		rx->stranger_cnt = 0;
	}
	if (rx->stranger_cnt++ < STRANGERS_MAX)
		pt_out_log("turned away: %s", err->text);
}

enum { OPT_DEV = 256, OPT_LISTEN, OPT_OUT, OPT_SERVE, OPT_RESUME, OPT_QUEUES,
       OPT_MEMORY, OPT_FILES, OPT_TRANSFERS, OPT_PEER_MEMORY, OPT_PEER_FILES,
       OPT_PREALLOC, OPT_ZERO_COPY, OPT_GENERIC, OPT_USER, OPT_TIMEOUT,
       OPT_PROFILE, OPT_HUGEPAGES, OPT_CPUS, OPT_JSON };

static const struct option options[] = {
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "out", required_argument, NULL, OPT_OUT },
	{ "serve", no_argument, NULL, OPT_SERVE },
	{ "resume", no_argument, NULL, OPT_RESUME },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "prealloc", required_argument, NULL, OPT_PREALLOC },
	{ "max-memory", required_argument, NULL, OPT_MEMORY },
	{ "max-files", required_argument, NULL, OPT_FILES },
	{ "max-transfers", required_argument, NULL, OPT_TRANSFERS },
	{ "max-peer-memory", required_argument, NULL, OPT_PEER_MEMORY },
	{ "max-peer-files", required_argument, NULL, OPT_PEER_FILES },
	{ "hugepages", required_argument, NULL, OPT_HUGEPAGES },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "zero-copy", required_argument, NULL, OPT_ZERO_COPY },
	{ "generic", no_argument, NULL, OPT_GENERIC },
	{ "user", required_argument, NULL, OPT_USER },
	{ "peer-timeout", required_argument, NULL, OPT_TIMEOUT },
	PT_SECURITY_OPTIONS,
	{ "tls-peer", required_argument, NULL, PT_SECURITY_PEER },
	{ "profile", no_argument, NULL, OPT_PROFILE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/* flag_of: what an option without a value sets; NULL: opt is none. */
static bool *flag_of(struct receive *rx, int opt)
{
	switch (opt) {
	case OPT_SERVE:
		return &rx->cfg.serve;
	case OPT_RESUME:
		return &rx->cfg.resume;
	case OPT_GENERIC:
		return &rx->cfg.generic;
	case OPT_PROFILE:
		return &rx->cfg.profile;
	case OPT_JSON:
		return &rx->json;
	default:
		return NULL;
	}
}

/* text_of: where an option's value goes as it stands; NULL: opt is none. */
static const char **text_of(struct receive *rx, int opt)
{
	switch (opt) {
	case OPT_DEV:
		return &rx->cfg.dev;
	case OPT_LISTEN:
		return &rx->cfg.listen;
	case OPT_OUT:
		return &rx->cfg.path;
	default:
		return NULL;
	}
}

static int number(const char *name, __u64 max, const char *or_else, __u64 *out)
{
	if (pt_out_number(optarg, 1, max, false, out))
		return -1;
	return pt_out_usage("receive", "%s '%s': want 1..%llu%s", name, optarg,
			    (unsigned long long)max, or_else);
}

static int size(const char *name, __u64 *out)
{
	if (pt_out_number(optarg, 4096, PT_LAYOUT_SZ_MAX, true, out))
		return -1;
	return pt_out_usage("receive", "%s '%s': want 4096..256T", name,
			    optarg);
}

/* parse_number: -1 if it was one and in range, -2 if opt is no number. */
static int parse_number(struct receive *rx, int opt)
{
	__u64 value = 0;
	int code;

	switch (opt) {
	case OPT_QUEUES:
		rx->cfg.queue_cnt = PT_QUEUES_AUTO;
		if (!strcmp(optarg, "auto"))
			return -1;
		code = number("--queues", PT_LANES_MAX, ", or auto", &value);
		rx->cfg.queue_cnt = value;
		return code;
	case OPT_PREALLOC:
		return size("--prealloc", &rx->cfg.prealloc_sz);
	case OPT_MEMORY:
		return size("--max-memory", &rx->cfg.memory_sz_max);
	case OPT_TRANSFERS:
		code = number("--max-transfers", 64, "", &value);
		rx->cfg.peer.transfers = value;
		return code;
	case OPT_FILES:
		return size("--max-files", &rx->cfg.files_sz_max);
	case OPT_PEER_MEMORY:
		return size("--max-peer-memory", &rx->cfg.peer.memory_sz);
	case OPT_PEER_FILES:
		return size("--max-peer-files", &rx->cfg.peer.files_sz);
	case OPT_TIMEOUT:
		code = number("--peer-timeout", 3600, "", &value);
		rx->cfg.peer_timeout_ms = value * 1000;
		return code;
	default:
		return -2;
	}
}

/* parse_other: what has a form of its own; -2 if opt is no option at all. */
static int parse_other(struct receive *rx, int opt)
{
	struct pt_error err;

	switch (opt) {
	case OPT_HUGEPAGES:
		if (!pt_hugepages_parse(optarg, &rx->cfg.hugepages))
			return -1;
		return pt_out_usage("receive", "--hugepages '%s': want off, "
				    "thp, on or auto", optarg);
	case OPT_ZERO_COPY:
		if (!pt_zero_copy_parse(optarg, &rx->cfg.zero_copy))
			return -1;
		return pt_out_usage("receive", "--zero-copy '%s': want auto, on "
				    "or off", optarg);
	case OPT_CPUS:
		if (!pt_cpus_parse(&rx->cfg.cpus, optarg, &err))
			return -1;
		return pt_out_usage("receive", "--cpus '%s': %s", optarg,
				    err.text);
	case OPT_USER:
		if (!pt_user_parse(&rx->user, optarg, &err))
			return -1;
		return pt_out_usage("receive", "%s", err.text);
	case 'h':
		fputs(help, stdout);
		return PT_EXIT_OK;
	default:
		return -2;
	}
}

/* parse_option: -1 to go on, or an exit code. */
static int parse_option(struct receive *rx, int opt, const char *word)
{
	const char **text = text_of(rx, opt);
	bool *flag = flag_of(rx, opt);
	int code;

	if (flag) {
		*flag = true;
		return -1;
	}
	if (text) {
		*text = optarg;
		return -1;
	}
	code = parse_number(rx, opt);
	if (code == -2)
		code = parse_other(rx, opt);
	if (code == -2)
		code = pt_security_option(&rx->security, opt);
	if (code == -2)
		code = pt_out_usage("receive", "'%s': wrong option, or its "
				    "value is missing", word);
	return code;
}

/* parse returns -1 to go on, or an exit code. */
static int parse(struct receive *rx, int argc, char **argv)
{
	int opt, code;

	opterr = 0;	/* we say it, in one line */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		code = parse_option(rx, opt, argv[optind - 1]);
		if (code >= 0)
			return code;
	}
	if (optind < argc)
		return pt_out_usage("receive", "'%s': no such argument",
				    argv[optind]);
	if (!rx->cfg.dev || !rx->cfg.listen || !rx->cfg.path)
		return pt_out_usage("receive", "%s is missing",
				    !rx->cfg.dev ? "--dev" :
				    !rx->cfg.listen ? "--listen" : "--out");
	if (rx->cfg.generic && rx->cfg.zero_copy == PT_ZERO_COPY_ON)
		return pt_out_usage("receive", "--zero-copy on: not with "
				    "--generic, which copies");
	if (rx->cfg.prealloc_sz && (rx->cfg.serve || rx->cfg.resume))
		return pt_out_usage("receive", "--prealloc with %s: it is for "
				    "one image, made anew",
				    rx->cfg.serve ? "--serve" : "--resume");
	return pt_security_check(&rx->security);
}

/* mode_text: of all sockets, or, where they differ, of how many. */
static const char *mode_text(const struct pt_receiver_info *info, char text[64])
{
	__u32 cnt = 0;

	for (__u32 i = 0; i < info->queue_cnt; i++)
		cnt += info->zero_copy[i];
	if (!cnt || cnt == info->queue_cnt)
		return cnt ? "zero copy" : "copy mode";
	snprintf(text, 64, "zero copy on %u of them", cnt);
	return text;
}

static void announce(const struct pt_receiver *r, const struct receive *rx)
{
	struct pt_receiver_info info;
	char mode[64];

	pt_receiver_info(r, &info);
	if (info.copy_why.text[0])
		pt_out_log("copy mode: %s", info.copy_why.text);
	pt_out_log("listening on %s, %s: program %u (%s%s), %u queue%s, %s, "
		   "%s, huge pages: %s",
		   info.listen, rx->cfg.dev, info.program_id,
		   info.generic ? "generic" : "native",
		   info.pinned ? ", pinned" : "", info.queue_cnt,
		   info.queue_cnt == 1 ? "" : "s", mode_text(&info, mode),
		   info.multi_buffer ? "multi-buffer" : "single buffer",
		   pt_hugepages_name(info.hugepages));
}

static int receive(struct receive *rx, int stop_fd, struct pt_error *err)
{
	struct pt_receiver *receiver;
	int ret = pt_receiver_open(&receiver, &rx->cfg, stop_fd, err);

	if (ret)
		return ret;
	/* All that needs a privilege is open, and no thread has started. */
	ret = pt_privilege_drop(0, &rx->user, err);
	if (!ret)
		ret = pt_out_start(err);
	if (!ret)
		ret = pt_receiver_start(receiver, stop_fd, err);
	if (!ret) {
		announce(receiver, rx);
		ret = pt_receiver_run(receiver, stop_fd, err);
	}
	pt_receiver_close(receiver);
	return ret;
}

int pt_cmd_receive(int argc, char **argv)
{
	struct receive rx = {
		.cfg = {
			.queue_cnt = 1,
			.memory_sz_max = 16ULL << 40,
			.files_sz_max = 1ULL << 40,
			.peer.transfers = 48,
			.peer_timeout_ms = 20000,
			.events = {
				.opened = on_opened,
				.progress = on_progress,
				.waiting = on_waiting,
				.ended = on_ended,
				.stranger = on_stranger,
				.arg = &rx,
			},
		},
		.security = { .command = "receive" },
	};
	struct pt_error err;
	int code = parse(&rx, argc, argv);
	int stop_fd;
	int ret;

	if (code >= 0)
		return code;
	rx.cfg.ciphers = rx.security.ciphers;
	stop_fd = pt_stop_open();
	pt_limits_raise_files();
	ret = pt_privilege_harden(&err);
	if (!ret)
		ret = pt_security_open(&rx.cfg.tls, &rx.security,
				       PT_ROLE_RECEIVER, &err);
	if (!ret)
		ret = receive(&rx, stop_fd, &err);
	pt_tls_close(rx.cfg.tls);
	return ret ? pt_out_fail("receive", &err) : PT_EXIT_OK;
}
