/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/privilege.h"
#include "cli/report.h"
#include "cli/send_options.h"
#include "cli/stop.h"

static void on_progress(const struct pt_send_report *r, void *arg)
{
	static __u64 left_before;
	__u64 done = r->page_cnt - r->pages_left;
	char wire[16], files[64] = "", sz[16];

	(void)arg;
	if (r->files_sent_sz < r->files_sz)
		snprintf(files, sizeof(files), ", %s of files left",
			 pt_out_human(r->files_sz - r->files_sent_sz, sz));
	/* Four calls a second. */
	if (r->phase != PT_SEND_SEND)
		pt_out_progress("%s%s", pt_send_phase_name(r->phase), files);
	else if (left_before > r->pages_left)
		pt_out_progress("%3.0f %%  %s on the wire, %.0f MiB/s of "
				"memory, %.0f s left%s",
				r->page_cnt ? 100.0 * done / r->page_cnt : 100,
				pt_out_human(r->wire_bytes, wire),
				(left_before - r->pages_left) * 4 / 256.0,
				r->pages_left / 4.0 /
				(left_before - r->pages_left), files);
	else
		pt_out_progress("%3.0f %%  %s on the wire%s",
				r->page_cnt ? 100.0 * done / r->page_cnt : 100,
				pt_out_human(r->wire_bytes, wire), files);
	left_before = r->pages_left;
}

/* send: what is told at the end, which may come in the midst of pt_send. */
struct send {
	struct pt_send_options o;
	struct pt_send_report report;
	struct pt_error err;
};

/* tell returns the exit code. */
static int tell(const struct send *s, int ret)
{
	pt_out_progress("%s", "");
	if (s->o.agent.json)
		pt_out_json(pt_report_send_json(&s->report, ret, &s->err));
	else if (!ret)
		pt_report_send_text(&s->report);
	return ret ? pt_out_fail("send", &s->err) : PT_EXIT_OK;
}

/* on_held_up: the kernel may let the process go though it does not let a thread
 * go on.  What is frozen goes on with the end of this thread. */
static void on_held_up(int ret, void *arg)
{
	int code = tell(arg, ret);

	pt_out_close("send");
	_exit(code);
}

static void on_warning(const char *text, void *arg)
{
	(void)arg;
	pt_out_log("warning: %s", text);
}

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

/* needs_less: what a peer says is only heard as the user, and with no more than
 * its offer makes necessary. */
static int needs_less(enum pt_send_need need, void *arg, struct pt_error *err)
{
	const struct pt_send_options *o = arg;

	int ret;

	if (need == PT_SEND_NEEDS_NOTHING) {
		ret = pt_privilege_drop(0, NULL, err);
		return ret ? ret : pt_out_start(err);
	}
	return pt_privilege_drop(PT_CAP(CAP_NET_RAW) | PT_CAP(CAP_IPC_LOCK),
				 &o->agent.user, err);
}

int pt_cmd_send(int argc, char **argv)
{
	struct send s;
	int code = pt_send_options_parse(&s.o, argc, argv);
	int ret;

	if (code >= 0)
		return code;
	s.o.cfg.needs_less = needs_less;
	s.o.cfg.needs_less_arg = &s.o;
	s.o.cfg.progress = on_progress;
	s.o.cfg.warn = on_warning;
	s.o.cfg.held_up = on_held_up;
	s.o.cfg.progress_arg = &s;
	s.o.cfg.stop_fd = pt_stop_open();
	pt_limits_raise_files();
	ret = pt_privilege_harden(&s.err);
	if (!ret)
		ret = pt_security_open(&s.o.cfg.tls, &s.o.security,
				       PT_ROLE_SENDER, &s.err);
	if (!ret)
		ret = open_source(&s.o, &s.err);
	if (ret) {
		pt_tls_close(s.o.cfg.tls);
		return pt_out_fail("send", &s.err);
	}
	ret = pt_send(&s.o.cfg, &s.report, &s.err);
	pt_source_close(s.o.cfg.source);
	pt_tls_close(s.o.cfg.tls);
	return tell(&s, ret);
}
