/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <string.h>

#include "base/name.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/record.h"
#include "cli/send_options.h"
#include "cli/send_process.h"
#include "cli/send_run.h"
#include "cli/stop.h"
#include "image/ptrim_source.h"
#include "source/private_mapper.h"

struct send {
	struct pt_send_options o;
	struct pt_send_run run;
	struct pt_send_process process;		/* with --live */
	struct pt_source_left left;		/* with --pid */
};

static int open_process(struct send *s)
{
	struct pt_send_options *o = &s->o;
	int ret = o->is_live
		? pt_send_process_open(&s->process, o, &s->run, &s->run.err)
		: pt_source_open_pid(&o->cfg.source, o->pid, o->keep_running,
				     &s->run.err);

	if (ret)
		return ret;
	s->run.left = &s->left;
	return pt_leftout_check(&s->left, o->cfg.source, &o->left, &s->run.err);
}

/* warn_of_mappers: a file whose mapper keeps what it writes is sent as it is. */
static void warn_of_mappers(const struct pt_send_options *o)
{
	struct pt_private_mapper m;
	char sz[16];

	for (int i = 0; i < o->source_cnt; i++) {
		pt_private_mapper_find(&m, o->sources[i]);
		if (m.pid)
			pt_out_warn("warning: process %d has mapped %s "
				   "privately, and %s there are not in the file "
				   "(--pid %d sends them; a guest's RAM needs "
				   "share=on to be in its file)",
				   m.pid, o->sources[i],
				   pt_out_human(m.own_sz, sz), m.pid);
	}
}

static int open_source(struct send *s)
{
	struct pt_send_options *o = &s->o;
	__u32 file_cnt = 0;
	const char *slash;
	int ret;

	if (o->pid)
		return open_process(s);
	if (!o->cfg.name) {
		slash = strrchr(o->sources[0], '/');
		o->cfg.name = slash ? slash + 1 : o->sources[0];
		if (strlen(o->cfg.name) > PT_NAME_IMAGE_MAX ||
		    !pt_text_is_clean(o->cfg.name, strlen(o->cfg.name)))
			return pt_error_set(&s->run.err, PT_EXIT_USAGE, -EINVAL,
					    "%s: its name is no name for an "
					    "image: more than %d bytes, a "
					    "control character or not UTF-8 "
					    "(give one with --name)",
					    o->sources[0], PT_NAME_IMAGE_MAX);
	}
	ret = pt_ptrim_source_open_any(&o->cfg.source, o->sources, o->source_cnt,
				       &file_cnt, &s->run.err);
	if (!ret)
		warn_of_mappers(o);
	if (file_cnt)
		pt_out_warn("warning: %s: its small files (%u) are not sent "
			    "(unpack it, and send them by --with)", o->sources[0],
			    file_cnt);
	return ret;
}

int pt_cmd_send(int argc, char **argv)
{
	struct send s = { .run = { .command = "send" } };
	struct pt_send_run *run = &s.run;
	int code = pt_send_options_parse(&s.o, argc, argv);
	int ret;

	if (code >= 0)
		return code;
	s.o.cfg.warn = pt_send_run_warn;
	run->agent = &s.o.agent;
	run->control_path = s.o.control;
	run->tells_events = s.o.is_live;
	run->stop_fd = pt_stop_open();
	pt_limits_raise_files();
	ret = pt_privilege_harden(&run->err);
	if (!ret)
		ret = pt_record_begin(run->control_path, &run->err);
	if (!ret)
		ret = pt_security_open(&s.o.cfg.tls, &s.o.security,
				       PT_ROLE_SENDER, &run->err);
	if (!ret)
		ret = open_source(&s);
	if (!ret)
		pt_send_options_unreadable(&s.o, s.o.is_live);
	run->name = s.o.cfg.name;
	if (!ret)
		ret = pt_send_run(run, &s.o.cfg, s.o.is_live
				  ? pt_send_process_caps() : 0);
	if (s.o.cfg.source)
		s.left.unreadable_sz = pt_source_unreadable_sz(s.o.cfg.source);
	pt_source_close(s.o.cfg.source);
	pt_tls_close(s.o.cfg.tls);
	return pt_send_run_tell(run, ret);
}
