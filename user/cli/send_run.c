/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/send_run.h"

#include <poll.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/stop.h"
#include "cli/leftout.h"
#include "cli/output.h"
#include "cli/report.h"

#define PROGRESS_NS	250000000ULL

/* on_live shows memory that changes: there is no share that is done.  The time
 * left is that of the present round, and of the stop. */
static void on_live(const struct pt_send_report *r)
{
	const struct pt_round *round = &r->live.round;
	char wire[16], rate[16], left[16], dirty[16] = "-";
	char till[64] = "not converging", throttled[32] = "";
	__u64 left_sz = r->pages_left * PT_PAGE_SZ;

	if (!round->bytes_per_s)
		till[0] = '\0';
	else if (round->is_converging)
		snprintf(till, sizeof(till), "stop of %.0f ms in %.0f s or later",
			 round->downtime_ns / 1e6,
			 (double)left_sz / round->bytes_per_s);
	if (round->is_judged)
		pt_out_human(round->dirty_per_s * PT_PAGE_SZ, dirty);
	if (r->live.throttle)
		snprintf(throttled, sizeof(throttled), ", throttled by %u %%",
			 r->live.throttle);
	pt_out_progress("round %u (%s%s%s)  %s sent, %s/s; %s left, %s written/s; %s",
			round->idx, pt_send_live_step_name(r->live.step),
			r->is_paused ? ", paused" : "", throttled,
			pt_out_human(r->wire_bytes, wire),
			round->bytes_per_s
			? pt_out_human(round->bytes_per_s, rate) : "-",
			pt_out_human(left_sz, left), dirty, till);
}

static void on_progress(const struct pt_send_report *r)
{
	static __u64 left_before;
	__u64 done = r->page_cnt - r->pages_left;
	char wire[16], files[64] = "", sz[16];

	if (r->files_sent_sz < r->files_sz)
		snprintf(files, sizeof(files), ", %s of files left",
			 pt_out_human(r->files_sz - r->files_sent_sz, sz));
	/* The caller calls this four times a second. */
	if (r->live.step)
		on_live(r);
	else if (r->phase != PT_SEND_SEND)
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

static void show(struct pt_send_run *s)
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
static int drive(struct pt_send_run *s)
{
	struct pollfd fds[] = {
		{ .fd = pt_sender_fd(s->sender), .events = POLLIN },
		{ .fd = pt_ctl_fd(s->at.ctl), .events = POLLIN },
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

static void cancel(int signal, void *sender)
{
	(void)signal;
	pt_sender_cancel(sender);
}

/* run runs the opened sender.  The peer's input is only read after the change
 * of user, with no privilege but keep. */
static int run(struct pt_send_run *s, __u64 keep)
{
	int ret;

	pt_control_prepare(&s->at, s->control_path, s->name, &s->agent->user);
	ret = pt_privilege_drop(keep, &s->agent->user, &s->err);
	if (!ret)
		ret = pt_agent_confine(s->agent, keep || s->left, &s->err);
	if (!ret)
		ret = pt_out_start(&s->err);
	if (!ret)
		ret = pt_stop_begin(s->stop_fd, cancel, s->sender, &s->err);
	if (!ret)
		ret = pt_send_control_open(&s->control, &s->at, s->sender,
					   &s->err);
	if (!ret)
		ret = pt_sender_start(s->sender, &s->err);
	if (!ret)
		ret = drive(s);
	pt_send_control_end(&s->control, ret, &s->err, s->guest_left
			    ? s->guest_left(s, ret) : NULL);
	pt_control_close(&s->at);
	pt_stop_end();
	pt_sender_status(s->sender, &s->report);
	return ret;
}

static void tell_json(const struct pt_send_run *s, int ret)
{
	json_t *o = s->is_open ? pt_report_send_json(&s->report, ret, &s->err)
			       : pt_report_failed_json(&s->err);

	if (s->left)
		json_object_set_new(o, "left-out", pt_leftout_json(s->left));
	if (!s->tells_events) {
		pt_out_json(o);
		return;
	}
	json_object_set_new(o, "event", json_string(ret ? "failed"
							: "finished"));
	pt_out_event(o);
}

int pt_send_run_tell(const struct pt_send_run *s, int ret)
{
	pt_out_progress("%s", "");
	if (s->agent->json)
		tell_json(s, ret);
	else if (!ret)
		pt_report_send_text(&s->report);
	if (!ret && !s->agent->json && s->left)
		pt_leftout_text(s->left);
	return ret ? pt_out_fail(s->command, &s->err) : PT_EXIT_OK;
}

/* leave: the kernel may let the process exit although it does not let a thread
 * run.  The end of this thread resumes a stopped process. */
static void leave(const struct pt_send_run *s, int ret)
{
	int code = pt_send_run_tell(s, ret);

	pt_out_close(s->command);
	_exit(code);
}

int pt_send_run(struct pt_send_run *s, const struct pt_sender_cfg *cfg,
		__u64 keep)
{
	int ret = pt_sender_open(&s->sender, cfg, &s->err);

	if (ret)
		return ret;
	s->is_open = true;
	ret = run(s, keep);
	if (pt_sender_is_held_up(s->sender))
		leave(s, ret);
	pt_sender_close(s->sender);
	return ret;
}

void pt_send_run_warn(const char *text, void *arg)
{
	(void)arg;
	pt_out_warn("warning: %s", text);
}
