// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "base/stop.h"
#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/receive_run.h"
#include "cli/record.h"
#include "cli/send_options.h"
#include "cli/send_run.h"
#include "lane/rate.h"
#include "proxy/splitter.h"
#include "proxy/stream.h"

struct proxy {
	struct pt_send_options send;	/* its cfg and control alone */
	struct pt_receive_run receive;	/* and what both ends have */
	const char *from;
	struct pt_send_run run;
	struct pt_send_live_cfg live;
	struct pt_splitter *splitter;
};

static const struct pt_option required[] = {
	{ "dev", "DEV", "network device of the frames",
	  PT_OPTION(TEXT, struct proxy, receive.cfg.dev), .offers = "device",
	  .required = true },
	{ }
};

static const struct pt_option source[] = {
	{ "from", "SOCKET",
	  "socket to make, into which QEMU migrates: 'migrate unix:SOCKET'",
	  PT_OPTION(TEXT, struct proxy, from), .offers = "file" },
	{ "to", "HOST[:PORT]",
	  "the proxy at the other host (default port 16644)",
	  PT_OPTION(TEXT, struct proxy, send.cfg.to), .offers = "host" },
	{ }
};

static const struct pt_option destination[] = {
	{ "into", "SOCKET",
	  "socket at which QEMU waits: '-incoming unix:SOCKET'",
	  PT_OPTION(TEXT, struct proxy, receive.into), .offers = "file" },
	{ "listen", "ADDR[:PORT]",
	  "address of DEV to listen on; TCP and UDP port (default 16644)",
	  PT_OPTION(TEXT, struct proxy, receive.cfg.listen),
	  .offers = "address" },
	{ }
};

static const struct pt_option options[] = {
	{ "mtu", "N",
	  "with --from: frames for an MTU of N, 1280..65535, or auto: as large "
	  "as probes show to pass (default)",
	  PT_OPTION(NUMBER, struct proxy, send.cfg.mtu),
	  .min = PT_MTU_MIN, .max = PT_MTU_MAX, .has_auto = true,
	  .auto_value = 0, .offers = "=1280 1500 9000 65535" },
	{ "max-bandwidth", "N",
	  "with --from: Ethernet bytes a second at most, from 64K on, such as 64M, "
	  "1.5GiB or 10Gbit/s; auto: the link's speed, if known; 0: no limit "
	  "(default)",
	  PT_OPTION(NUMBER, struct proxy, send.cfg.bytes_per_s),
	  .max = PT_RATE_MAX, .suffix = true, .is_rate = true,
	  .want = PT_RATE_WANT, .has_auto = true, .auto_value = PT_RATE_AUTO },
	{ "tls-hostname", "NAME",
	  "with --from: the other proxy's certificate is of NAME (default: "
	  "HOST)",
	  PT_OPTION(TEXT, struct proxy, receive.security.tls.hostname) },
	{ "control", "PATH",
	  "with --from: a socket for 'pagetrim ctl' while the transfer runs",
	  PT_OPTION(TEXT, struct proxy, send.control), .offers = "file" },
	{ "generic", NULL,
	  "XDP in the network stack, and AF_XDP in copy mode",
	  PT_OPTION(FLAG, struct proxy, receive.agent.generic) },
	{ "json", NULL,
	  "one JSON object on stdout; keys: pagetrim-send(8), "
	  "pagetrim-receive(8)",
	  PT_OPTION(FLAG, struct proxy, receive.agent.json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", required, 0 },
	{ "at the source:", source, 0 },
	{ "at the destination:", destination, 0 },
	{ "and one of:", pt_security_options,
	  offsetof(struct proxy, receive.security) },
	{ "Options:", options, 0 },
	{ NULL, pt_security_receiver_options,
	  offsetof(struct proxy, receive.security) },
	{ NULL, pt_agent_options, offsetof(struct proxy, receive.agent) },
	{ }
};

const struct pt_command pt_command_proxy = {
	.name = "proxy",
	.usage =
	"Usage: pagetrim proxy --from SOCKET --dev DEV --to HOST [options]\n"
	"       pagetrim proxy --into SOCKET --dev DEV --listen ADDR [options]\n"
	"\n"
	"Carries QEMU's own migration stream between two hosts: its pages trimmed, over\n"
	"AF_XDP, and all else as it is.  Neither QEMU knows of it, nor does libvirt:\n"
	"'virsh migrate --live --migrateuri unix:SOCKET'.  Ends after one migration.\n",
	.groups = groups,
	.notes =
	"Start the proxy at the destination first, then the one at the source, then the\n"
	"migration.  Start the QEMU at the destination with -S, as libvirt does, and\n"
	"continue it once the one at the source says completed.\n"
	"\n"
	"Exit: 0 the stream was carried whole, 1 failed or interrupted, 2 wrong usage,\n"
	"      3 this host lacks something, 4 the other proxy is absent, silent or\n"
	"      gave up, 5 copy or ledger wrong, 6 outcome unknown: ask both QEMUs.\n"
	"Example: pagetrim proxy --psk key --dev eth1 --to 10.0.0.2 --from /run/m.sock\n",
	.arguments = { NULL },
};

/* check_ends: -1: one end, with its peer's address; or an exit code. */
static int check_ends(const struct proxy *p)
{
	const struct pt_receive_run *rx = &p->receive;

	if (!p->from == !rx->into)
		return pt_out_usage("proxy", "--from at the source, or --into "
				    "at the destination: one of them");
	if (p->from && (!p->send.cfg.to || rx->cfg.listen))
		return pt_out_usage("proxy", "--from: goes with --to, not with "
				    "--listen");
	if (rx->into && (!rx->cfg.listen || p->send.cfg.to))
		return pt_out_usage("proxy", "--into: goes with --listen, not "
				    "with --to");
	if (rx->into && (p->send.cfg.mtu || p->send.cfg.bytes_per_s ||
			 p->send.control || rx->security.tls.hostname))
		return pt_out_usage("proxy", "--into: has no --mtu, "
				    "--max-bandwidth, --control or "
				    "--tls-hostname");
	if (p->from && rx->security.tls.peer_cnt)
		return pt_out_usage("proxy", "--from: has no --tls-peer");
	return -1;
}

static int parse(struct proxy *p, int argc, char **argv)
{
	struct pt_agent *agent = &p->receive.agent;
	int code = pt_options_parse(&pt_command_proxy, p, argc, argv);

	if (code < 0 && optind < argc)
		code = pt_out_usage("proxy", "'%s': no arguments are wanted",
				    argv[optind]);
	if (code < 0)
		code = check_ends(p);
	if (code < 0)
		code = pt_agent_check("proxy", agent);
	if (code >= 0)
		return code;
	PT_AGENT_FILL(&p->receive.cfg, agent);
	PT_AGENT_FILL(&p->send.cfg, agent);
	p->send.cfg.dev = p->receive.cfg.dev;
	p->send.cfg.ciphers = p->receive.security.ciphers;
	p->send.cfg.trim = PT_SEND_TRIM_BLOCKS;
	p->send.cfg.rekey_log2 = PT_REKEY_LOG2_MAX;
	return pt_security_check("proxy", &p->receive.security);
}

/* open_memory makes a source of the blocks. */
static int open_memory(struct proxy *p)
{
	static char paths[PT_QSTREAM_BLOCKS_MAX][sizeof("/proc/self/fd/") + 10];
	const char *names[PT_QSTREAM_BLOCKS_MAX];
	const struct pt_qstream_block *blocks;
	__u32 cnt;
	int ret;

	blocks = pt_splitter_blocks(p->splitter, &cnt);
	for (__u32 i = 0; i < cnt; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/proc/self/fd/%d",
			 pt_splitter_fd(p->splitter, i));
		names[i] = paths[i];
	}
	ret = pt_source_open_files_as(&p->send.cfg.source, PT_FILES_LIVE, names,
				      cnt, &p->run.err);
	for (__u32 i = 0; !ret && i < cnt; i++)
		pt_source_set_name(p->send.cfg.source, i, blocks[i].name);
	return ret;
}

static int open_stream(struct proxy *p)
{
	__u32 cnt;
	int ret = pt_splitter_open(&p->splitter, p->from, &p->run.err);

	if (ret)
		return ret;
	pt_out_log("%s: waits for QEMU", p->from);
	ret = pt_splitter_accept(p->splitter, p->run.stop_fd, &p->run.err);
	if (ret)
		return ret;
	pt_splitter_blocks(p->splitter, &cnt);
	if (pt_splitter_is_whole(p->splitter))
		pt_out_log("%s: QEMU migrates, in a way that is not understood: "
			   "all of it passes whole", p->from);
	else
		pt_out_log("%s: QEMU migrates, %u RAM blocks", p->from, cnt);
	return open_memory(p);
}

static int carry(struct proxy *p)
{
	struct pt_sender_cfg *cfg = &p->send.cfg;

	p->live = (struct pt_send_live_cfg){
		.kind = PT_LIVE_GUEST,
		.description = PT_STREAM_DESCRIPTION,
		.guest = {
			.begin = pt_splitter_begin,
			.hand_over = pt_splitter_hand_over,
			.resume = pt_splitter_drop,
			.collect = pt_splitter_collect,
			.is_last = pt_splitter_is_last,
			.failure = pt_splitter_failure,
			.arg = p->splitter,
		},
	};
	cfg->live = &p->live;
	cfg->warn = pt_send_run_warn;
	return pt_send_run(&p->run, cfg, 0);
}

static int send_stream(struct proxy *p)
{
	int ret;

	p->run = (struct pt_send_run){
		.command = "proxy",
		.agent = &p->receive.agent,
		.control_path = p->send.control,
		.name = p->from,
		.stop_fd = pt_stop_open(),
	};
	pt_limits_raise_files();
	ret = pt_privilege_harden(&p->run.err);
	if (!ret)
		ret = pt_record_begin(p->run.control_path, &p->run.err);
	if (!ret)
		ret = pt_security_open(&p->send.cfg.tls, &p->receive.security,
				       PT_ROLE_SENDER, &p->run.err);
	if (!ret)
		ret = open_stream(p);
	if (!ret)
		ret = carry(p);
	pt_splitter_close(p->splitter);
	pt_source_close(p->send.cfg.source);
	pt_tls_close(p->send.cfg.tls);
	return pt_send_run_tell(&p->run, ret);
}

int pt_cmd_proxy(int argc, char **argv)
{
	struct proxy *p = calloc(1, sizeof(*p));
	int code;

	if (!p)
		return PT_EXIT_HOST;
	p->receive.command = "proxy";
	code = parse(p, argc, argv);
	if (code < 0)
		code = p->from ? send_stream(p) : pt_receive_run(&p->receive);
	free(p);
	return code;
}
