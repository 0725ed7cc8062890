/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/privilege.h"
#include "cli/report.h"
#include "cli/send_control.h"
#include "cli/send_options.h"
#include "cli/stop.h"

#define PROGRESS_NS	250000000ULL

static void on_progress(const struct pt_send_report *r)
{
	static __u64 left_before;
	__u64 done = r->page_cnt - r->pages_left;
	char wire[16], files[64] = "", sz[16];

	if (r->files_sent_sz < r->files_sz)
		snprintf(files, sizeof(files), ", %s of files left",
			 pt_out_human(r->files_sz - r->files_sent_sz, sz));
	/* The caller calls this four times a second. */
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

struct send {
	struct pt_send_options o;
	struct pt_sender *sender;
	bool is_open;		/* it was: there is a report */
	struct pt_send_control control;
	struct pt_send_report report;
	struct pt_error err;
	__u64 shown_ns;
	int stop_fd;
};

/* tell returns the exit code. */
static int tell(const struct send *s, int ret)
{
	pt_out_progress("%s", "");
	if (s->o.agent.json && !s->is_open)
		pt_out_json(pt_report_failed_json(&s->err));
	else if (s->o.agent.json)
		pt_out_json(pt_report_send_json(&s->report, ret, &s->err));
	else if (!ret)
		pt_report_send_text(&s->report);
	return ret ? pt_out_fail("send", &s->err) : PT_EXIT_OK;
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

static void show(struct send *s)
{
	__u64 now_ns = pt_clock_ns();

	if (now_ns - s->shown_ns < PROGRESS_NS)
		return;
	pt_sender_status(s->sender, &s->report);
	if (s->report.phase < PT_SEND_PROBE)
		return;
	s->shown_ns = now_ns;
	on_progress(&s->report);
}

/* drive returns 0 once all is committed. */
static int drive(struct send *s)
{
	struct pollfd fds[] = {
		{ .fd = pt_sender_fd(s->sender), .events = POLLIN },
		{ .fd = pt_ctl_fd(s->control.ctl), .events = POLLIN },
	};
	int ret;

	do {
		poll(fds, 2, -1);
		pt_send_control_answer(&s->control);
		ret = pt_sender_step(s->sender, &s->err);
		show(s);
	} while (ret > 0);
	return ret;
}

static void cancel(void *sender)
{
	pt_sender_cancel(sender);
}

/* run runs the opened sender.  The peer's input is only read after the change
 * of user, without any privilege. */
static int run(struct send *s)
{
	int ret = pt_privilege_drop(0, &s->o.agent.user, &s->err);

	if (!ret)
		ret = pt_out_start(&s->err);
	if (!ret)
		ret = pt_stop_begin(s->stop_fd, cancel, s->sender, &s->err);
	if (!ret)
		ret = pt_send_control_open(&s->control, s->o.control,
					   s->sender, &s->err);
	if (!ret)
		ret = pt_sender_start(s->sender, &s->err);
	if (!ret)
		ret = drive(s);
	pt_send_control_close(&s->control);
	pt_stop_end();
	pt_sender_status(s->sender, &s->report);
	return ret;
}

/* leave: the kernel may let the process exit although it does not let a thread
 * run.  The end of this thread resumes a stopped process. */
static void leave(const struct send *s, int ret)
{
	int code = tell(s, ret);

	pt_out_close("send");
	_exit(code);
}

static int send_all(struct send *s)
{
	int ret = pt_sender_open(&s->sender, &s->o.cfg, &s->err);

	if (ret)
		return ret;
	s->is_open = true;
	ret = run(s);
	if (pt_sender_is_held_up(s->sender))
		leave(s, ret);
	pt_sender_close(s->sender);
	return ret;
}

int pt_cmd_send(int argc, char **argv)
{
	struct send s = { 0 };
	int code = pt_send_options_parse(&s.o, argc, argv);
	int ret;

	if (code >= 0)
		return code;
	s.o.cfg.warn = on_warning;
	s.stop_fd = pt_stop_open();
	pt_limits_raise_files();
	ret = pt_privilege_harden(&s.err);
	if (!ret)
		ret = pt_security_open(&s.o.cfg.tls, &s.o.security,
				       PT_ROLE_SENDER, &s.err);
	if (!ret)
		ret = open_source(&s.o, &s.err);
	if (!ret)
		ret = send_all(&s);
	pt_source_close(s.o.cfg.source);
	pt_tls_close(s.o.cfg.tls);
	return tell(&s, ret);
}
