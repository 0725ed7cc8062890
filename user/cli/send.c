/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <string.h>

#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/send_options.h"
#include "cli/send_run.h"
#include "cli/stop.h"

static int open_source(struct pt_send_options *o, struct pt_error *err)
{
	const char *slash;

	if (o->pid)
		return pt_source_open_pid(&o->cfg.source, o->pid,
					  o->keep_running, err);
	if (!o->cfg.name) {
		slash = strrchr(o->sources[0], '/');
		o->cfg.name = slash ? slash + 1 : o->sources[0];
	}
	return pt_source_open_files(&o->cfg.source, o->sources, o->source_cnt,
				    err);
}

int pt_cmd_send(int argc, char **argv)
{
	struct pt_send_options o;
	struct pt_send_run run = { .command = "send", .agent = &o.agent };
	int code = pt_send_options_parse(&o, argc, argv);
	int ret;

	if (code >= 0)
		return code;
	o.cfg.warn = pt_send_run_warn;
	run.control_path = o.control;
	run.stop_fd = pt_stop_open();
	pt_limits_raise_files();
	ret = pt_privilege_harden(&run.err);
	if (!ret)
		ret = pt_security_open(&o.cfg.tls, &o.security, PT_ROLE_SENDER,
				       &run.err);
	if (!ret)
		ret = open_source(&o, &run.err);
	if (!ret)
		ret = pt_send_run(&run, &o.cfg, 0);
	pt_source_close(o.cfg.source);
	pt_tls_close(o.cfg.tls);
	return pt_send_run_tell(&run, ret);
}
