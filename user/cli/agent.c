/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/agent.h"

#include "base/due.h"
#include "cli/output.h"
#include "confine/confine.h"
#include "session/queues.h"

static int take_cpus(const char *command, void *to, const char *text)
{
	struct pt_error err;

	if (!pt_cpus_parse(to, text, &err))
		return -1;
	return pt_out_usage(command, "--cpus '%s': %s", text, err.text);
}

static int take_user(const char *command, void *to, const char *text)
{
	struct pt_error err;

	if (!pt_user_parse(to, text, &err))
		return -1;
	return pt_out_usage(command, "%s", err.text);
}

static const struct pt_option_word hugepages[] = {
	{ "off", PT_HUGEPAGES_OFF }, { "thp", PT_HUGEPAGES_THP },
	{ "on", PT_HUGEPAGES_ON }, { "auto", PT_HUGEPAGES_AUTO }, { }
};

static const struct pt_option_word zero_copy[] = {
#define X(SYMBOL, name) { name, PT_ZERO_COPY_##SYMBOL },
	PT_ZERO_COPY(X)
#undef X
	{ }
};

const struct pt_option pt_agent_options[] = {
	{ "queues", "N",
	  "queues of DEV to use, a lane each, 1..64 (default 1), or auto: "
	  "those free, no more than CPUs or than the receiver has",
	  PT_OPTION(NUMBER, struct pt_agent, queue_cnt), .min = 1,
	  .max = PT_LANES_MAX, .has_auto = true, .auto_value = PT_QUEUES_AUTO,
	  .initial = 1 },
	{ "hugepages", "HOW",
	  "for the memory of queues, 8 MiB each: off, thp: where the kernel "
	  "has free ones (default), on: from the reserved pool, or auto: on, "
	  "or else thp",
	  PT_OPTION(WORD, struct pt_agent, hugepages), .words = hugepages },
	{ "cpus", "LIST",
	  "CPUs to keep the threads of queues on, in their order, as 0,2-3 "
	  "(default: any)",
	  PT_OPTION(OWN, struct pt_agent, cpus), .take = take_cpus },
	{ "zero-copy", "HOW",
	  "auto: frames are not copied where the driver supports that and no "
	  "other socket suffers (default); on: or it is refused; off: AF_XDP "
	  "in copy mode",
	  PT_OPTION(WORD, struct pt_agent, zero_copy), .words = zero_copy },
	{ "user", "USER",
	  "continue as NAME, UID or UID:GID once all is opened; a receiver "
	  "makes the image as that user",
	  PT_OPTION(OWN, struct pt_agent, user), .take = take_user,
	  .offers = "user" },
	{ "no-seccomp", NULL,
	  "all system calls stay allowed; else those that are not needed are "
	  "refused, and the log says which",
	  PT_OPTION(FLAG, struct pt_agent, no_seccomp) },
	{ "peer-timeout", "S",
	  "give up on a silent peer after S seconds, 1..3600 (default 20)",
	  PT_OPTION(NUMBER, struct pt_agent, peer_timeout_ms), .min = 1,
	  .max = PT_PEER_TIMEOUT_MAX_MS / 1000, .scale = 1000,
	  .initial = PT_PEER_TIMEOUT_MS / 1000 },
	{ "config", "FILE",
	  "take options from FILE, lines of NAME = VALUE; those given here win: "
	  "pagetrim.conf(5)",
	  PT_OPTION(TEXT, struct pt_agent, config_path), .is_config = true,
	  .offers = "file" },
	{ "profile", NULL,
	  "report the time of each stage, and how many bytes each worked on",
	  PT_OPTION(FLAG, struct pt_agent, profile) },
	{ }
};

static void on_refused(const char *call, pid_t tid)
{
	pt_out_warn("warning: system call %s of thread %d was refused: it is not on "
		   "the list of those that are needed (--no-seccomp allows all; "
		   "please report it)", call, tid);
}

static int confine(const struct pt_agent *agent, const struct pt_confine_cfg *cfg,
		   struct pt_error *err)
{
	int ret = agent->no_seccomp ? 0 : pt_confine_begin(cfg, err);

	if (ret <= 0)
		return ret;
	pt_out_log("refused system calls will not be reported here: another program "
		   "listens to a filter that this process has already");
	return 0;
}

int pt_agent_confine(const struct pt_agent *agent, bool traces,
		     struct pt_error *err)
{
	return confine(agent, &(struct pt_confine_cfg){
		.traces = traces, .refused = on_refused }, err);
}

int pt_agent_confine_server(const struct pt_agent *agent, struct pt_error *err)
{
	return confine(agent, &(struct pt_confine_cfg){
		.serves = true, .refused = on_refused }, err);
}

int pt_agent_check(const char *command, const struct pt_agent *agent)
{
	if (agent->generic && agent->zero_copy == PT_ZERO_COPY_ON)
		return pt_out_usage(command, "--zero-copy on: not with "
				    "--generic, which copies");
	return -1;
}
