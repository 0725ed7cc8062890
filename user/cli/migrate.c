/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <linux/capability.h>

#include "base/rights.h"
#include "base/stop.h"
#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/migrate_options.h"
#include "cli/output.h"
#include "cli/record.h"
#include "cli/send_run.h"
#include "vmm/guard.h"
#include "vmm/qemu.h"

struct migrate {
	struct pt_migrate_options o;
	struct pt_send_run run;
	struct pt_qemu *qemu;
	struct pt_qemu_guard *guard;
	char *description;
	struct pt_qemu_range *ranges;
	__u32 range_cnt;
	__u64 *addrs;
	bool is_continued;		/* QEMU sends the device state */
	bool is_begun, is_committed;
	bool is_resumed;		/* that was tried */
	bool is_lost;			/* and failed */
	bool is_rest;			/* the guest runs at the receiver already */
};

/* The guest's state here, as its record tells it. */

static const char killed_left[] =
	"unless it runs here, it is paused, and may run at the receiver: ask "
	"'pagetrim ctl status' there, or its QEMU; continue it here (QMP 'cont') "
	"only if it does not run there, and end the QEMU there first";

static const char rest_left[] =
	"the guest runs at the receiver, and may wait there for pages that only the QEMU "
	"here has: end neither, and give the same commands again";

static const char *guest_left(const struct pt_send_run *run, int ret)
{
	const struct migrate *m = (const void *)((const char *)run -
						 offsetof(struct migrate, run));

	if (!ret)
		return "runs at the receiver: do not continue it here";
	if (run->report.live.is_handed || m->is_rest)
		return rest_left;
	if (run->err.exit == PT_EXIT_UNKNOWN)
		return killed_left;
	return m->is_lost ? "stays here, and never ran at the receiver; if it "
			    "does not run: QMP 'migrate_cancel', 'cont'"
			  : "goes on here, and never ran at the receiver";
}

/* The functions of the guest: the live thread calls them. */

static int begin(void *arg, int *fd, struct pt_error *err)
{
	struct migrate *m = arg;

	m->is_begun = true;
	return pt_qemu_source_begin(m->qemu, fd, err);
}

static int drain(void *arg, struct pt_error *err)
{
	struct migrate *m = arg;

	return pt_qemu_drain(m->qemu, err);
}

static int throttle(void *arg, unsigned percent, struct pt_error *err)
{
	struct migrate *m = arg;

	return pt_qemu_throttle(m->qemu, percent, err);
}

static int stop(void *arg, int timeout_ms, struct pt_error *err)
{
	struct migrate *m = arg;

	return pt_qemu_wait_stopped(m->qemu, timeout_ms, err);
}

static int hand_over(void *arg, int timeout_ms, struct pt_error *err)
{
	struct migrate *m = arg;
	int ret = 0;

	if (!m->is_continued) {
		pt_record_handing(m->run.control_path, "sender", killed_left);
		ret = pt_qemu_continue(m->qemu, err);
	}
	m->is_continued |= !ret;
	return ret ? ret : pt_qemu_wait_completed(m->qemu, timeout_ms, err);
}

static int resume(void *arg, struct pt_error *err)
{
	struct migrate *m = arg;
	int ret;

	m->is_resumed = true;
	if (m->is_committed)	/* and the receiver refused */
		pt_qemu_guard_tell(m->guard, PT_QEMU_GUARD_BEGUN);
	ret = pt_qemu_cancel(m->qemu, err);
	m->is_lost = ret;
	if (ret)
		pt_out_log("the guest does not run again: %s; the guard tries "
			   "to resume it for %d s", err->text,
			   PT_QEMU_GUARD_MS / 1000);
	return ret;
}

static void committing(void *arg)
{
	struct migrate *m = arg;

	m->is_committed = true;
	pt_qemu_guard_commit(m->guard);
}

static void on_round(const struct pt_round *r, void *arg)
{
	pt_live_round(&((struct migrate *)arg)->run, r);
}

static void on_entered(enum pt_send_live_step step, void *arg)
{
	(void)step;
	pt_live_entered(&((struct migrate *)arg)->run);
}

/* check_segments: the file of a backend may be larger than the backend. */
static int check_segments(struct migrate *m)
{
	struct pt_source *source = m->o.send.cfg.source;
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_source_segments(source, &cnt);
	for (__u32 i = 0; i < cnt; i++) {
		if (segs[i].sz != m->ranges[i].sz)
			return pt_error_set(&m->run.err, PT_EXIT_HOST, -EINVAL,
					    "memory backend %s: has %llu bytes, "
					    "and its file %llu (give it a file "
					    "of its own)", m->ranges[i].id,
					    (unsigned long long)m->ranges[i].sz,
					    (unsigned long long)segs[i].sz);
		pt_source_set_name(source, i, m->ranges[i].id);
	}
	return 0;
}

/* open_memory opens the guest's memory as a source. */
static int open_memory(struct migrate *m)
{
	const char *paths[PT_SOURCE_FILES_MAX];
	int ret = pt_qemu_ram(m->qemu, &m->ranges, &m->range_cnt, &m->run.err);

	if (ret)
		return ret;
	m->addrs = calloc(m->range_cnt, sizeof(*m->addrs));
	if (!m->addrs)
		return pt_error_set(&m->run.err, PT_EXIT_HOST, -ENOMEM,
				    "no memory");
	for (__u32 i = 0; i < m->range_cnt; i++) {
		paths[i] = m->ranges[i].path;
		m->addrs[i] = m->ranges[i].addr;
	}
	ret = pt_source_open_files_as(&m->o.send.cfg.source, PT_FILES_LIVE,
				      paths, m->range_cnt, &m->run.err);
	if (!ret)
		ret = pt_source_mapped_by(m->o.send.cfg.source,
					  pt_qemu_pid(m->qemu), m->addrs,
					  &m->run.err);
	if (ret)
		return ret;
	pt_send_options_unreadable(&m->o.send, true);
	return check_segments(m);
}

static int open_guest(struct migrate *m)
{
	int ret = pt_qemu_open(&m->qemu, m->o.qmp, m->o.pid, &m->run.err);

	if (!ret && m->o.postcopy)
		ret = pt_qemu_gave_up(m->qemu, &m->is_rest, &m->run.err);
	if (!ret && m->is_rest)
		return open_memory(m);
	if (!ret)
		ret = pt_qemu_source_check(m->qemu, &m->run.err);
	if (!ret)
		ret = pt_qemu_describe(m->qemu, &m->description, &m->run.err);
	if (!ret && m->o.send.live.cfg.converge.otherwise ==
		    PT_NO_CONVERGE_THROTTLE)
		ret = pt_qemu_throttle_open(m->qemu, &m->run.err);
	if (!ret)
		ret = pt_qemu_guard_start(&m->guard, m->qemu, &m->run.err);
	return ret ? ret : open_memory(m);
}

/* move keeps the capabilities that a tracker needs to enter QEMU, whose files in
 * /proc may belong to another user. */
static int move(struct migrate *m)
{
	struct pt_sender_cfg *cfg = &m->o.send.cfg;
	struct pt_send_live_cfg *live = &m->o.send.live.cfg;

	live->guest_id = pt_qemu_guest_id(m->qemu);
	if (m->is_rest) {
		live->kind = PT_LIVE_REST;
		live->look = rest_left;
		pt_out_log("the guest left this QEMU: the rest of its memory is sent");
		cfg->live = live;
		cfg->warn = pt_send_run_warn;
		return pt_send_run(&m->run, cfg, 0);
	}
	live->kind = PT_LIVE_GUEST;
	live->pid = pt_qemu_pid(m->qemu);
	live->addrs = m->addrs;
	live->description = m->description;
	live->guest = (struct pt_live_guest){
		.drain = drain, .begin = begin, .stop = stop,
		.hand_over = hand_over, .resume = resume,
		.throttle = throttle, .arg = m,
	};
	live->committing = committing;
	live->round = on_round;
	live->entered = on_entered;
	live->arg = m;
	cfg->live = live;
	cfg->warn = pt_send_run_warn;
	return pt_send_run(&m->run, cfg, live->tracker == PT_LIVE_TRACKER_DIGEST
			   ? 0 : PT_CAP(CAP_SYS_PTRACE) |
			   PT_CAP(CAP_DAC_READ_SEARCH));
}

/* close_guard: a guest that could not be resumed is left to the guard, which must
 * be alone on the connection. */
static void close_guard(struct migrate *m)
{
	if (m->is_lost) {
		pt_qemu_close(m->qemu);
		pt_qemu_guard_detach(m->guard);
	} else {
		pt_qemu_guard_release(m->guard);
		pt_qemu_close(m->qemu);
	}
}

/* close_guest: a source that is not to be resumed stays paused. */
static void close_guest(struct migrate *m, int ret)
{
	struct pt_error err;

	if (!ret && m->o.quit_source && pt_qemu_quit(m->qemu, &err))
		pt_out_warn("warning: %s", err.text);
	if (ret && m->is_begun && !m->is_committed && !m->is_resumed)
		resume(m, &err);
	close_guard(m);
	pt_source_close(m->o.send.cfg.source);
	free(m->addrs);
	free(m->ranges);
	free(m->description);
}

/* warn_marks: without the right the kernel hides which page table entries are marks. */
static void warn_marks(void)
{
	if (!(pt_rights_held() & PT_RIGHT(CAP_SYS_ADMIN)))
		pt_out_warn("warning: without CAP_SYS_ADMIN pages of the guest that "
			    "cannot be read are not seen, and go with what their file "
			    "has there");
}

int pt_cmd_migrate(int argc, char **argv)
{
	struct migrate m = { .run = { .command = "migrate" } };
	int code = pt_migrate_options_parse(&m.o, argc, argv);
	int ret;

	if (code >= 0)
		return code;
	m.run.agent = &m.o.send.agent;
	m.run.control_path = m.o.send.control;
	m.run.name = m.o.qmp;
	m.run.tells_events = true;
	m.run.guest_left = guest_left;
	m.run.stop_fd = pt_stop_open();
	pt_limits_raise_files();
	warn_marks();
	ret = pt_privilege_harden(&m.run.err);
	if (!ret)
		ret = pt_record_begin(m.run.control_path, &m.run.err);
	if (!ret)
		ret = open_guest(&m);
	if (!ret && m.o.postcopy && !m.is_rest)
		pt_out_log("once the guest was handed over, a part of its memory is "
			   "here alone: if QEMU is killed at either host before all has "
			   "come, the guest is lost");
	if (!ret)
		ret = pt_security_open(&m.o.send.cfg.tls, &m.o.send.security,
				       PT_ROLE_SENDER, &m.run.err);
	if (!ret)
		ret = move(&m);
	close_guest(&m, ret);
	pt_tls_close(m.o.send.cfg.tls);
	return pt_send_run_tell(&m.run, ret);
}
