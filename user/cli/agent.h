/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent: the options that send and receive share, except those of security,
 * with the same names and meanings. */
#ifndef CLI_AGENT_H
#define CLI_AGENT_H

#include "base/cpus.h"
#include "cli/options.h"
#include "cli/privilege.h"
#include "xsk/umem.h"
#include "xsk/zero_copy.h"

struct pt_agent {
	__u32 queue_cnt;
	__u32 peer_timeout_ms;
	enum pt_hugepages hugepages;
	enum pt_zero_copy zero_copy;
	struct pt_cpus cpus;
	struct pt_user user;
	const char *config_path;	/* read by pt_options_parse already */
	bool profile;
	bool no_seccomp;
	bool generic, json;	/* listed in each command's own table, since the
				 * help texts differ */
};

/* pt_agent_options is a group over struct pt_agent. */
extern const struct pt_option pt_agent_options[];

/* PT_AGENT_FILL copies agent into cfg, pt_send's or a receiver's, which have
 * fields of the same names. */
#define PT_AGENT_FILL(cfg, agent) do {					\
	(cfg)->queue_cnt = (agent)->queue_cnt;				\
	(cfg)->peer_timeout_ms = (agent)->peer_timeout_ms;		\
	(cfg)->hugepages = (agent)->hugepages;				\
	(cfg)->zero_copy = (agent)->zero_copy;				\
	(cfg)->cpus = (agent)->cpus;					\
	(cfg)->profile = (agent)->profile;				\
	(cfg)->generic = (agent)->generic;				\
} while (0)

/* pt_agent_check checks the options together: -1, or an exit code. */
int pt_agent_check(const char *command, const struct pt_agent *agent);

/* pt_agent_confine restricts the system calls of this process, which may trace
 * another, unless --no-seccomp is given.  Call it in the only thread, after
 * pt_privilege_drop.  Exit code 3 and -errno in err. */
int pt_agent_confine(const struct pt_agent *agent, bool traces,
		     struct pt_error *err);

/* pt_agent_confine_server: the same for one that serves a guest, which needs fewer. */
int pt_agent_confine_server(const struct pt_agent *agent, struct pt_error *err);

#endif
