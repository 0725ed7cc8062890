/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <poll.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "cli/agent.h"
#include "cli/arrival.h"
#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/security.h"
#include "cli/stop.h"
#include "memory/layout.h"
#include "receive/receiver.h"
#include "session/queues.h"

struct receive {
	struct pt_receiver_cfg cfg;
	struct pt_agent agent;
	struct pt_security security;
	__u64 stranger_time;		/* the second that stranger_cnt
					 * counts */
	unsigned stranger_cnt;		/* strangers refused in that second */
	bool had_transfer;		/* at least one */
	const char *qmp;		/* the monitor of QEMU; NULL: an image
					 * is received */
	__u32 pid;			/* of QEMU; 0: that of the monitor */
	struct pt_arrival arrival;
	bool is_abandoned;		/* threads of the receiver still run */
};

#define SIZE_OPTION(field)						\
	PT_OPTION(NUMBER, struct receive, cfg.field), .min = 4096,	\
	.max = PT_LAYOUT_SZ_MAX, .suffix = true, .want = "4096..256T"

static const struct pt_option required[] = {
	{ "dev", "DEV", "network device that the frames arrive on",
	  PT_OPTION(TEXT, struct receive, cfg.dev), .offers = "device",
	  .required = true },
	{ "listen", "ADDR[:PORT]",
	  "address of DEV to listen on; TCP and UDP port (default 16644)",
	  PT_OPTION(TEXT, struct receive, cfg.listen), .offers = "address",
	  .required = true },
	{ }
};

static const struct pt_option places[] = {
	{ "out", "PATH",
	  "image to make; must not exist.  A file, or a file on a tmpfs or "
	  "hugetlbfs.  With --serve a folder",
	  PT_OPTION(TEXT, struct receive, cfg.path), .offers = "file" },
	{ "qmp", "SOCK",
	  "monitor socket of a QEMU, started with -incoming defer, that takes "
	  "the guest of a 'pagetrim migrate'",
	  PT_OPTION(TEXT, struct receive, qmp), .offers = "file" },
	{ }
};

static const struct pt_option options[] = {
	{ "pid", "PID",
	  "process of the QEMU, if another one listens on its monitor socket; "
	  "with --qmp",
	  PT_OPTION(NUMBER, struct receive, pid), .min = 1, .max = 1 << 22,
	  .want = "1..4194304", .offers = "pid" },
	{ "serve", NULL,
	  "keep accepting, up to 64 transfers at once, each to its own name in "
	  "the folder PATH, until a signal",
	  PT_OPTION(FLAG, struct receive, cfg.serve) },
	{ "resume", NULL,
	  "keep the data of a transfer that fails, as PATH.partial with "
	  "PATH.journal; and resume it when a sender with --resume connects",
	  PT_OPTION(FLAG, struct receive, cfg.resume) },
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
	  PT_OPTION(NUMBER, struct receive, cfg.peer.transfers), .min = 1,
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
	  PT_OPTION(FLAG, struct receive, agent.generic) },
	{ "json", NULL,
	  "one JSON object on stdout (with --serve one per transfer); keys: "
	  "pagetrim-receive(8)",
	  PT_OPTION(FLAG, struct receive, agent.json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", required, 0 },
	{ "one of:", places, 0 },
	{ "and one of:", pt_security_options,
	  offsetof(struct receive, security) },
	{ "Options:", options, 0 },
	{ NULL, pt_security_receiver_options,
	  offsetof(struct receive, security) },
	{ NULL, pt_agent_options, offsetof(struct receive, agent) },
	{ }
};

const struct pt_command pt_command_receive = {
	.name = "receive",
	.usage =
	"Usage: pagetrim receive --dev DEV --listen ADDR --out PATH [options]\n"
	"       pagetrim receive --dev DEV --listen ADDR --qmp SOCK [options]\n"
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
	"      something, 4 the sender vanished or gave up, 5 copy or ledger wrong,\n"
	"      6 outcome unknown: interrupted twice during commit, or a QEMU that\n"
	"      does not answer.\n"
	"Example: pagetrim receive --psk key --dev eth1 --listen 10.0.0.2 --out vm.ram\n",
};

#define STRANGERS_MAX	10	/* log lines per second about strangers */

static void on_opened(const struct pt_receive_report *r, void *arg)
{
	struct receive *rx = arg;
	char memory[16];

	rx->had_transfer = true;
	pt_out_log("transfer %016llx from %s: %s to %s%s",
		   (unsigned long long)r->transfer_id, r->peer,
		   pt_out_human(r->memory_sz, memory),
		   r->path,
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
	const struct receive *rx = arg;
	const char *what = rx->qmp ? "QEMU" : "storage";

	if (begins)
		pt_out_log("%s: waiting for %s", r->path, what);
	else
		pt_out_log("%s: %s goes on, after %.1f s", r->path, what,
			   r->waited_ns / 1e9);
}

/* tell_guest: its state is known, since the session's threads have ended. */
static void tell_guest(const struct receive *rx,
		       const struct pt_receive_report *r)
{
	const char *left = pt_arrival_left(&rx->arrival, r->result);

	if (!r->result)
		pt_out_log("%s: the guest runs", rx->qmp);
	else if (left[0])
		pt_out_log("%s: %s", rx->qmp, left);
}

static void on_ended(const struct pt_receive_report *r, void *arg)
{
	struct receive *rx = arg;

	rx->had_transfer = true;
	pt_out_progress("%s", "");
	if (rx->cfg.serve && r->result)
		pt_out_log("transfer %016llx from %s failed: %s",
			   (unsigned long long)r->transfer_id, r->peer,
			   r->error.text);
	if (rx->qmp)
		tell_guest(rx, r);
	if (r->is_kept)
		pt_out_log("kept %s.partial: start both ends with --resume to "
			   "resume it", r->path);
	if (r->answers_ms)
		pt_out_log("%s: its sender went away before it heard how that "
			   "ended: stays %u s for it to ask", r->path,
			   r->answers_ms / 1000);
	if (rx->agent.json)
		pt_out_json(pt_report_receive_json(r));
	else if (!r->result)
		pt_report_receive_text(r);
}

/* on_stranger limits its log lines, since strangers could fill the disk. */
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

/* check_place: -1: an image or a QEMU, not both; or an exit code. */
static int check_place(const struct receive *rx)
{
	const struct pt_receiver_cfg *cfg = &rx->cfg;

	if (!cfg->path && !rx->qmp)
		return pt_out_usage("receive", "--out is missing, or --qmp for "
				    "a guest");
	if (cfg->path && rx->qmp)
		return pt_out_usage("receive", "--out with --qmp: a guest's "
				    "memory goes to its QEMU alone");
	if (rx->pid && !rx->qmp)
		return pt_out_usage("receive", "--pid without --qmp");
	if (rx->qmp && (cfg->serve || cfg->resume || cfg->prealloc_sz))
		return pt_out_usage("receive", "--qmp with %s: a QEMU takes one "
				    "guest, in one transfer",
				    cfg->serve ? "--serve" : cfg->resume
				    ? "--resume" : "--prealloc");
	return -1;
}

/* parse returns -1 to go on, or an exit code. */
static int parse(struct receive *rx, int argc, char **argv)
{
	int code = pt_options_parse(&pt_command_receive, rx, argc, argv);

	if (code < 0)
		code = pt_agent_check("receive", &rx->agent);
	if (code >= 0)
		return code;
	PT_AGENT_FILL(&rx->cfg, &rx->agent);
	code = check_place(rx);
	if (code >= 0)
		return code;
	if (rx->cfg.prealloc_sz && (rx->cfg.serve || rx->cfg.resume))
		return pt_out_usage("receive", "--prealloc with %s: it is for "
				    "one image, made anew",
				    rx->cfg.serve ? "--serve" : "--resume");
	return pt_security_check("receive", &rx->security);
}

/* mode_text: the mode of all sockets or, where they differ, the number with
 * zero copy. */
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
	char mode[64], memory[16];

	pt_receiver_info(r, &info);
	if (info.copy_why.text[0])
		pt_out_log("copy mode: %s", info.copy_why.text);
	if (rx->qmp)
		pt_out_log("QEMU, process %d, waits for a guest at %s: %s in "
			   "%u memory backend%s", pt_qemu_pid(rx->arrival.qemu),
			   rx->qmp, pt_out_human(rx->arrival.memory_sz, memory),
			   rx->arrival.range_cnt,
			   rx->arrival.range_cnt == 1 ? "" : "s");
	pt_out_log("listening on %s, %s: program %u (%s%s), %u queue%s, %s, "
		   "%s, huge pages: %s",
		   info.listen, rx->cfg.dev, info.program_id,
		   info.generic ? "generic" : "native",
		   info.pinned ? ", pinned" : "", info.queue_cnt,
		   info.queue_cnt == 1 ? "" : "s", mode_text(&info, mode),
		   info.multi_buffer ? "multi-buffer" : "single buffer",
		   pt_hugepages_name(info.hugepages));
}

static int drive(struct pt_receiver *receiver, struct pt_error *err)
{
	struct pollfd fd = {
		.fd = pt_receiver_fd(receiver), .events = POLLIN,
	};
	int ret;

	do {
		poll(&fd, 1, -1);
		ret = pt_receiver_step(receiver, err);
	} while (ret > 0);
	return ret;
}

static void cancel(void *receiver)
{
	pt_receiver_cancel(receiver);
}

static int open_guest(struct receive *rx, struct pt_error *err)
{
	int ret = pt_arrival_open(&rx->arrival, rx->qmp, rx->pid, err);

	if (ret)
		return ret;
	rx->cfg.sink = rx->arrival.sink;
	rx->cfg.guest = &rx->arrival.guest;
	return 0;
}

static int receive(struct receive *rx, int stop_fd, struct pt_error *err)
{
	struct pt_receiver *receiver;
	int ret = rx->qmp ? open_guest(rx, err) : 0;

	if (!ret)
		ret = pt_receiver_open(&receiver, &rx->cfg, err);
	if (ret)
		return ret;
	/* All descriptors that need a privilege are open, and no thread has
	 * started. */
	ret = pt_privilege_drop(0, &rx->agent.user, err);
	if (!ret)
		ret = pt_out_start(err);
	if (!ret)
		ret = pt_stop_begin(stop_fd, cancel, receiver, err);
	if (!ret)
		ret = pt_receiver_start(receiver, err);
	if (!ret) {
		announce(receiver, rx);
		ret = drive(receiver, err);
	}
	pt_stop_end();
	/* Threads that the receiver did not wait for still use the guest. */
	if (!pt_receiver_close(receiver))
		rx->is_abandoned = true;
	return ret;
}

int pt_cmd_receive(int argc, char **argv)
{
	struct receive rx = {
		.cfg = {
			.events = {
				.opened = on_opened,
				.progress = on_progress,
				.waiting = on_waiting,
				.ended = on_ended,
				.stranger = on_stranger,
				.arg = &rx,
			},
		},
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
	if (!rx.is_abandoned)
		pt_arrival_close(&rx.arrival);
	pt_tls_close(rx.cfg.tls);
	if (ret && rx.agent.json && !rx.had_transfer)
		pt_out_json(pt_report_failed_json(&err));
	return ret ? pt_out_fail("receive", &err) : PT_EXIT_OK;
}
