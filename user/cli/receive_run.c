/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/receive_run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/stop.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/record.h"
#include "cli/report.h"
#include "proxy/stream.h"
#include "template/make.h"

#define STRANGERS_MAX	10	/* log lines per second about strangers */
#define EXPIRY_MS	10000	/* between two looks at the certificate */

/* tell_state reports what runs, as `systemctl status` shows it. */
static void tell_state(const struct pt_receive_run *rx)
{
	pt_notify_say(rx->notify, "STATUS=%s, %s: %u running, %llu "
		      "completed, %llu failed", rx->listen, rx->cfg.dev,
		      pt_receiver_status(rx->receiver, NULL, 0),
		      (unsigned long long)rx->completed_cnt,
		      (unsigned long long)rx->failed_cnt);
}

static void on_opened(const struct pt_receive_report *r, void *arg)
{
	struct pt_receive_run *rx = arg;
	char memory[16];

	rx->had_transfer = true;
	pt_out_log("transfer %016llx from %s%s%s: %s to %s%s",
		   (unsigned long long)r->transfer_id, r->peer,
		   r->identity[0] ? " as " : "", r->identity,
		   pt_out_human(r->memory_sz, memory),
		   r->path,
		   r->is_resumed ? ", resumes" : "");
	tell_state(rx);
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
	const struct pt_receive_run *rx = arg;
	const char *what = rx->qmp || rx->into ? "QEMU" : "storage";

	if (begins)
		pt_out_log("%s: waiting for %s", r->path, what);
	else
		pt_out_log("%s: %s goes on, after %.1f s", r->path, what,
			   r->waited_ns / 1e9);
}

/* tell_guest: its state is known, since the session's threads have ended. */
static void tell_guest(const struct pt_receive_run *rx,
		       const struct pt_receive_report *r)
{
	const char *left = pt_arrival_left(&rx->arrival, r->result);

	if (!r->result)
		pt_out_log("%s: the guest runs", rx->qmp);
	else if (left[0])
		pt_out_log("%s: %s", rx->qmp, left);
}

/* tell_stream: the receiver's error may only be what followed from QEMU's. */
static void tell_stream(const struct pt_receive_run *rx,
			const struct pt_receive_report *r)
{
	const struct pt_error *failure = pt_joiner_failure(rx->joiner);

	if (!r->result)
		pt_out_log("%s: QEMU has read all of its stream", rx->into);
	else if (failure && strcmp(failure->text, r->error.text))
		pt_out_log("%s", failure->text);
}

/* put_json prints one object, as a line of its own with --serve. */
static void put_json(const struct pt_receive_run *rx, json_t *object)
{
	if (rx->cfg.serve)
		pt_out_event(object);
	else
		pt_out_json(object);
}

static void on_ended(const struct pt_receive_report *r, void *arg)
{
	struct pt_receive_run *rx = arg;

	rx->had_transfer = true;
	pt_receive_control_ended(&rx->control, r);
	pt_out_progress("%s", "");
	if (rx->cfg.serve && r->result)
		pt_out_warn("transfer %016llx from %s%s%s failed: %s",
			   (unsigned long long)r->transfer_id, r->peer,
			   r->identity[0] ? " as " : "", r->identity,
			   r->error.text);
	if (rx->qmp)
		tell_guest(rx, r);
	if (rx->into)
		tell_stream(rx, r);
	if (r->is_kept)
		pt_out_log("kept %s.partial: start both ends with --resume to "
			   "resume it", r->path);
	if (r->answers_ms)
		pt_out_log("%s: its sender went away before it heard how that "
			   "ended: stays %u s for it to ask", r->path,
			   r->answers_ms / 1000);
	if (rx->agent.json) {
		json_t *o = pt_report_receive_json(r);

		pt_arrival_report(&rx->arrival, o);
		put_json(rx, o);
	} else if (!r->result) {
		pt_report_receive_text(r);
	}
	rx->completed_cnt += !r->result;
	rx->failed_cnt += !!r->result;
	tell_state(rx);
}

/* on_stranger limits its log lines, since strangers could fill the disk. */
static void on_stranger(const struct pt_error *err, void *arg)
{
	struct pt_receive_run *rx = arg;
	__u64 now = pt_clock_ns() / 1000000000;

	if (now != rx->stranger_time) {
		if (rx->stranger_cnt > STRANGERS_MAX)
			pt_out_warn("turned away: %u more within a second",
				   rx->stranger_cnt - STRANGERS_MAX);
		rx->stranger_time = now;
		rx->stranger_cnt = 0;
	}
	if (rx->stranger_cnt++ < STRANGERS_MAX)
		pt_out_warn("turned away: %s", err->text);
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

static void announce(struct pt_receive_run *rx)
{
	struct pt_receiver_info info;
	char mode[64], memory[16];

	pt_receiver_info(rx->receiver, &info);
	if (info.copy_why.text[0])
		pt_out_log("copy mode: %s", info.copy_why.text);
	if (rx->qmp)
		pt_out_log("QEMU, process %d, waits for %s at %s: %s in "
			   "%u memory backend%s", rx->arrival.pid,
			   rx->arrival.guest.rest_of ? "the rest of its guest's memory"
						     : "a guest", rx->qmp, pt_out_human(rx->arrival.memory_sz, memory),
			   rx->arrival.range_cnt,
			   rx->arrival.range_cnt == 1 ? "" : "s");
	if (info.other_dev[0])
		pt_out_warn("warning: %s is an address of %s, and frames are taken "
			    "from %s only: senders must reach it by that device",
			    info.listen, info.other_dev, rx->cfg.dev);
	pt_out_log("listening on %s, %s: program %u (%s%s), %u queue%s, %s, "
		   "%s, huge pages: %s",
		   info.listen, rx->cfg.dev, info.program_id,
		   info.generic ? "generic" : "native",
		   info.pinned ? ", pinned" : "", info.queue_cnt,
		   info.queue_cnt == 1 ? "" : "s", mode_text(&info, mode),
		   info.multi_buffer ? "multi-buffer" : "single buffer",
		   pt_hugepages_name(info.hugepages));
	memcpy(rx->listen, info.listen, sizeof(rx->listen));
	tell_state(rx);
	pt_notify_say(rx->notify, "READY=1");
}

static void cancel(const struct pt_receive_run *rx)
{
	pt_notify_stays(rx->notify, false);
	pt_receiver_cancel(rx->receiver);
}

static void take_signal(int signal, void *arg)
{
	const struct pt_receive_run *rx = arg;

	if (signal == SIGHUP && rx->reload) {
		pt_reload_ask(rx->reload);
	} else if (signal == SIGHUP && rx->cfg.serve) {
		/* --insecure: there is nothing to read. */
		pt_notify_reloading(rx->notify);
		pt_notify_say(rx->notify, "READY=1");
	} else if (rx->drain && !pt_receiver_is_draining(rx->receiver)) {
		pt_receiver_drain(rx->receiver);
	} else {
		cancel(rx);
	}
}

/* tell_draining says so once, whoever asked for it.  STOPPING=1 comes at the end:
 * after it systemd would give no more than TimeoutStopSec. */
static void tell_draining(struct pt_receive_run *rx)
{
	if (rx->has_drained || !pt_receiver_is_draining(rx->receiver))
		return;
	rx->has_drained = true;
	pt_notify_stays(rx->notify, true);
	pt_out_log("takes no new transfer, and ends once those that run have "
		   "ended: %u", pt_receiver_status(rx->receiver, NULL, 0));
}

/* take_reloaded: a file that cannot be used changes nothing. */
static void take_reloaded(struct pt_receive_run *rx)
{
	struct pt_error err;
	struct pt_reloaded now;
	int ret = pt_reload_take(rx->reload, &now, &err);

	if (!ret)
		return;
	if (ret < 0)
		pt_out_warn("the former keys stay: %s", err.text);
	else
		pt_out_log("keys were read again: senders that connect from "
			   "now on need them");
	if (ret < 0)
		return;
	pt_receiver_secure(rx->receiver, now.tls);
	pt_tls_close(rx->cfg.tls);	/* wiped with its last connection */
	rx->cfg.tls = now.tls;
	rx->expiry_ns = 0;
	rx->is_expired = false;
	pt_receiver_allow(rx->receiver, now.peers);
	pt_peers_close(rx->peers);
	rx->peers = now.peers;
	rx->cfg.peers = now.peers;
}

/* tell_expired: senders refuse an expired certificate, and a service would wait for
 * them in vain. */
static void tell_expired(struct pt_receive_run *rx)
{
	if (pt_clock_ns() < rx->expiry_ns)
		return;
	rx->expiry_ns = pt_deadline_ns(EXPIRY_MS);
	if (pt_tls_is_expired(rx->cfg.tls) && !rx->is_expired) {
		rx->is_expired = true;
		pt_out_warn("warning: %s: the certificate has expired, or one of its "
			    "chain, and senders refuse it (renew it%s; is the clock "
			    "of this host right?)", rx->security.tls.cert_path,
			    rx->reload ? ", and send SIGHUP" : "");
	}
}

static int drive(struct pt_receive_run *rx, struct pt_error *err)
{
	struct pollfd fds[] = {
		{ .fd = pt_receiver_fd(rx->receiver), .events = POLLIN },
		{ .fd = pt_ctl_fd(rx->at.ctl), .events = POLLIN },
		{ .fd = pt_reload_fd(rx->reload), .events = POLLIN },
	};
	int ret;

	do {
		poll(fds, 3, -1);	/* the receiver's ticks end it, too */
		take_reloaded(rx);
		tell_expired(rx);
		tell_draining(rx);
		pt_receive_control_answer(&rx->control);
		pt_notify_alive(rx->notify);
		ret = pt_receiver_step(rx->receiver, err);
	} while (ret > 0);
	return ret;
}

static int open_guest(struct pt_receive_run *rx, struct pt_error *err)
{
	int ret = pt_arrival_open(&rx->arrival, rx->qmp, rx->pid,
				  (struct pt_arrival_with){
		.large = rx->cfg.large_pages != PT_LARGE_PAGES_OFF && !rx->serve_faults,
		.faults = rx->serve_faults,
	}, err);

	if (ret)
		return ret;
	if (rx->arrival.unseen_cnt)
		pt_out_warn("warning: some processes may be hidden from this one: one "
			    "that has mapped the guest's memory, too, reads zeroes there");
	if (rx->serve_faults)
		rx->cfg.large_pages = PT_LARGE_PAGES_OFF;
	if (pt_arrival_lacks_none(&rx->arrival))
		rx->cfg.wait_ms = rx->agent.peer_timeout_ms;
	rx->arrival.control_path = rx->control_path;
	rx->cfg.sink = rx->arrival.sink;
	rx->cfg.guest = &rx->arrival.guest;
	return 0;
}

static int match_stream(void *arg, const char *theirs, struct pt_error *err)
{
	(void)arg;
	return pt_stream_match(theirs, err);
}

static int open_stream(struct pt_receive_run *rx, struct pt_error *err)
{
	int ret = pt_joiner_open(&rx->joiner, rx->into, err);

	if (ret)
		return ret;
	rx->joined = (struct pt_receive_guest){
		.name = rx->into, .is_stream = true, .match = match_stream,
		.begin = pt_joiner_begin, .loaded = pt_joiner_loaded,
		.arg = rx->joiner,
	};
	rx->cfg.sink = pt_joiner_sink(rx->joiner);
	rx->cfg.guest = &rx->joined;
	return 0;
}

/* guest_left returns the guest's state here, for the record; NULL: none. */
static const char *guest_left(const struct pt_receive_run *rx, int ret)
{
	const char *left;

	if (!rx->qmp)
		return NULL;
	left = ret ? pt_arrival_left(&rx->arrival, ret) : "";
	return left[0] ? left : "runs here: do not continue it at its source";
}

static int open_reload(struct pt_receive_run *rx, struct pt_error *err)
{
	const struct pt_reload_cfg cfg = {
		.tls = &rx->security.tls, .peers_path = rx->peers_path,
		.peers_base = rx->cfg.path, .notify = rx->notify,
	};

	return rx->cfg.serve && !rx->security.insecure
		? pt_reload_open(&rx->reload, &cfg, err) : 0;
}

/* begin_template starts the holder, before anything that it would keep. */
static int begin_template(struct pt_receive_run *rx, struct pt_error *err)
{
	static const enum pt_template_large large[] = {
		[PT_LARGE_PAGES_KEEP] = PT_TEMPLATE_LARGE_DATA,
		[PT_LARGE_PAGES_ALL] = PT_TEMPLATE_LARGE_ALL,
		[PT_LARGE_PAGES_OFF] = PT_TEMPLATE_LARGE_OFF,
	};
	int ret;

	if (!rx->template)
		return 0;
	ret = pt_template_make_begin_path(&rx->making, rx->template,
					  large[rx->cfg.large_pages], err);
	if (!ret)
		rx->cfg.sink = pt_template_make_sink(rx->making);
	return ret;
}

static int receive(struct pt_receive_run *rx, int stop_fd, struct pt_error *err)
{
	int ret = rx->qmp ? open_guest(rx, err)
			  : rx->into ? open_stream(rx, err) : 0;

	if (!ret)
		ret = pt_receiver_open(&rx->receiver, &rx->cfg, err);
	if (ret)
		return ret;
	/* All descriptors that need a privilege are open, and no thread has
	 * started. */
	pt_control_prepare(&rx->at, rx->control_path, rx->qmp ? rx->qmp
			   : rx->into ? rx->into : rx->template ? rx->template
			   : rx->cfg.path,
			   &rx->agent.user);
	ret = pt_privilege_drop(0, &rx->agent.user, err);
	if (!ret)
		ret = pt_agent_confine(&rx->agent, false, err);
	if (!ret)
		ret = pt_out_start(err);
	if (!ret)
		ret = pt_notify_start(rx->notify, err);
	if (!ret)
		ret = open_reload(rx, err);
	if (!ret)
		ret = pt_stop_begin(stop_fd, take_signal, rx, err);
	if (!ret)
		ret = pt_receive_control_open(&rx->control, &rx->at, rx->receiver,
					      &rx->cfg, &rx->arrival, err);
	if (!ret)
		ret = pt_arrival_serve(&rx->arrival, err);
	if (!ret)
		ret = pt_receiver_start(rx->receiver, err);
	if (!ret) {
		announce(rx);
		ret = drive(rx, err);
	}
	/* The sender that was waited for is not needed. */
	if (ret == -ETIMEDOUT && !rx->had_transfer && pt_arrival_is_whole(&rx->arrival))
		ret = 0;
	pt_notify_say(rx->notify, "STOPPING=1");
	pt_receive_control_end(&rx->control, ret, err, guest_left(rx, ret));
	pt_control_close(&rx->at);
	pt_stop_end();
	rx->is_abandoned = !pt_reload_close(rx->reload);
	rx->is_abandoned |= !pt_receiver_close(rx->receiver);
	return ret;
}

int pt_receive_run(struct pt_receive_run *rx)
{
	struct pt_error err;
	int stop_fd, code;
	int ret;

	rx->cfg.events = (struct pt_receive_events){
		on_opened, on_progress, on_waiting, on_ended, on_stranger, rx,
	};
	rx->cfg.ciphers = rx->security.ciphers;
	stop_fd = pt_stop_open();
	pt_limits_raise_files();
	ret = begin_template(rx, &err);
	if (!ret)
		ret = pt_privilege_harden(&err);
	if (!ret)
		ret = pt_record_begin(rx->control_path, &err);
	if (!ret)
		ret = pt_security_open(&rx->cfg.tls, &rx->security,
				       PT_ROLE_RECEIVER, &err);
	if (!ret && rx->peers_path)
		ret = pt_peers_open(&rx->peers, rx->peers_path, rx->cfg.path,
				    &err);
	rx->cfg.peers = rx->peers;
	if (!ret)
		ret = pt_notify_open(&rx->notify, &err);
	if (!ret)
		ret = receive(rx, stop_fd, &err);
	pt_notify_close(rx->notify);
	if (!rx->is_abandoned) {
		pt_arrival_close(&rx->arrival);
		pt_joiner_close(rx->joiner);
		pt_template_make_end(rx->making);
		pt_peers_close(rx->peers);
	}
	pt_tls_close(rx->cfg.tls);
	if (ret && rx->agent.json && !rx->had_transfer)
		put_json(rx, pt_report_failed_json(&err));
	code = ret ? pt_out_fail(rx->command, &err) : PT_EXIT_OK;
	if (rx->is_abandoned) {
		/* Its threads use what exit(3) and the caller would free. */
		pt_out_close(rx->command);
		_exit(code);
	}
	return code;
}
