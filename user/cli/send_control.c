/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/send_control.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "cli/answer.h"
#include "cli/record.h"
#include "cli/report.h"
#include "cli/report_compression.h"
#include "cli/report_live.h"
#include "lane/rate.h"

#define REQUESTS_MAX	16		/* answered per call, so that the sender
					 * has its turn */
#define LOOK_NS		500000000ULL	/* bandwidth is averaged over this time
					 * at least */

/* set_guest adds the keys of a guest that moves, as QEMU's query-migrate has
 * them. */
static void set_guest(json_t *o, const struct pt_send_live_report *r)
{
	if (!r->step)
		return;
	json_object_set_new(o, "downtime-limit",
			    json_real(r->downtime_limit_ns / 1e6));
	if (r->round.is_judged)
		json_object_set_new(o, "expected-downtime",
				    json_real(r->round.downtime_ns / 1e6));
	if (r->throttle)
		json_object_set_new(o, "cpu-throttle-percentage",
				    json_integer(r->throttle));
	if (r->downtime_ns)
		json_object_set_new(o, "downtime",
				    json_real(r->downtime_ns / 1e6));
	json_object_set_new(o, "live", pt_report_live_json(r));
}

/* set_rates adds those that are known: none of them is from the beginning. */
static void set_rates(json_t *o, const struct pt_send_control *c,
		      const struct pt_send_report *r)
{
	const struct pt_send_look *look = &c->looks[0];

	if (look->ns)
		json_object_set_new(o, "bandwidth", json_integer(
			(r->wire_bytes - look->wire_bytes) * 1e9 /
			(pt_clock_ns() - look->ns + 1)));
	if (r->has_path && r->path.bytes_per_s)
		json_object_set_new(o, "path-rate",
				    json_integer(r->path.bytes_per_s));
	if (r->has_path)
		json_object_set_new(o, "path-window",
				    json_integer(r->path.window));
	if (r->has_path && r->path.rtt_ns)
		json_object_set_new(o, "path-rtt",
				    json_real(r->path.rtt_ns / 1e6));
}

static json_t *status(const struct pt_send_control *c)
{
	struct pt_send_report r;
	json_t *o;

	pt_sender_status(c->sender, &r);
	if (r.phase == PT_SEND_SEND)	/* not known yet */
		r.send_ns = r.total_ns - r.setup_ns;
	o = json_pack("{s:s, s:s, s:o, s:f, s:b, s:o, s:I, s:I, s:I, s:I, s:I}",
		"role", "sender", "status", pt_send_phase_name(r.phase),
		"transfer-id", json_sprintf("%016llx", (unsigned long long)
					    r.transfer_id),
		"total-time", r.total_ns / 1e6,
		"paused", r.is_paused,
		"ram", pt_report_ram_json(&r),
		"files-total", (json_int_t)r.files_sz,
		"files-remaining", (json_int_t)(r.files_sz - r.files_sent_sz),
		"frames", (json_int_t)r.frames,
		"frames-lost", (json_int_t)r.frames_lost,
		"max-bandwidth", (json_int_t)r.bytes_per_s);
	json_object_set_new(o, "compression", pt_report_compression_json(&r));
	if (r.setup_ns)
		json_object_set_new(o, "setup-time", json_real(r.setup_ns / 1e6));
	if (r.has_ledger)
		json_object_set_new(o, "ledger", pt_report_ledger_json(
				    &r.ledger, r.frames, r.unaccounted));
	set_rates(o, c, &r);
	set_guest(o, &r.live);
	pt_control_identify(c->at, o);
	return o;
}

/* is_number: text is a whole number of at most max, digits only. */
static bool is_number(const char *text, __u64 max, __u64 *value)
{
	errno = 0;
	*value = strtoull(text, NULL, 10);
	return *text && strspn(text, "0123456789") == strlen(text) && !errno &&
	       *value <= max;
}

/* set_bandwidth: text is bytes, or auto. */
static json_t *set_bandwidth(const struct pt_send_control *c, const char *text)
{
	struct pt_send_report now;
	__u64 rate = PT_RATE_AUTO;
	struct pt_error err;

	if (strcmp(text, "auto") && !is_number(text, PT_RATE_MAX, &rate)) {
		pt_error_set(&err, PT_EXIT_USAGE, -EINVAL, "max-bandwidth: want "
			     "0..%llu bytes a second, 0 for no limit, or auto",
			     PT_RATE_MAX);
		return pt_answer_refuse(err.text);
	}
	if (pt_sender_set_rate(c->sender, rate, &err))
		return pt_answer_refuse(err.text);
	pt_sender_status(c->sender, &now);
	return json_pack("{s:I}", "max-bandwidth", (json_int_t)now.bytes_per_s);
}

static json_t *set_downtime(const struct pt_send_control *c, const char *text)
{
	struct pt_error err;
	__u64 ms;

	if (!is_number(text, PT_DOWNTIME_MAX_MS, &ms) || !ms)
		return pt_answer_refuse("downtime-limit: want 1..60000 "
					"milliseconds");
	if (pt_sender_set_downtime(c->sender, ms, &err))
		return pt_answer_refuse(err.text);
	return json_pack("{s:I}", "downtime-limit", (json_int_t)ms);
}

/* steer answers a request that has no operand; NULL: it is none. */
static json_t *steer(const struct pt_send_control *c, const char *line)
{
	const char *done;
	struct pt_error err;
	int ret;

	if (!strcmp(line, "cancel")) {
		ret = pt_sender_cancel_early(c->sender, &err);
		done = "is cancelled";
	} else if (!strcmp(line, "pause")) {
		ret = pt_sender_pause(c->sender, true, &err);
		done = "is paused";
	} else if (!strcmp(line, "resume")) {
		ret = pt_sender_pause(c->sender, false, &err);
		done = "goes on";
	} else if (!strncmp(line, "cancel ", 7)) {
		return pt_answer_refuse("a sender has one transfer: 'cancel' "
					"alone ends it");
	} else {
		return NULL;
	}
	return ret ? pt_answer_refuse(err.text)
		   : json_pack("{s:s}", "done", done);
}

static json_t *answer_to(void *arg, const char *line)
{
	const struct pt_send_control *c = arg;
	static const char rate[] = "set max-bandwidth ";
	static const char downtime[] = "set downtime-limit ";
	json_t *answer;

	if (!strcmp(line, "status"))
		return status(c);
	if (!strncmp(line, rate, sizeof(rate) - 1))
		return set_bandwidth(c, line + sizeof(rate) - 1);
	if (!strncmp(line, downtime, sizeof(downtime) - 1))
		return set_downtime(c, line + sizeof(downtime) - 1);
	answer = steer(c, line);
	return answer ? answer
		: pt_answer_refuse("want 'status', 'pause', 'resume', 'cancel', "
				   "'set max-bandwidth N' or 'set "
				   "downtime-limit MS'");
}

/* look: the reported bandwidth is that of the last half to whole second. */
static void look(struct pt_send_control *c)
{
	__u64 now_ns = pt_clock_ns();
	struct pt_send_report r;

	if (now_ns - c->looks[1].ns < LOOK_NS)
		return;
	pt_sender_status(c->sender, &r);
	c->looks[0] = c->looks[1];
	c->looks[1] = (struct pt_send_look){ now_ns, r.wire_bytes };
}

int pt_send_control_open(struct pt_send_control *c, struct pt_control *at,
			 struct pt_sender *sender, struct pt_error *err)
{
	*c = (struct pt_send_control){ .at = at, .sender = sender };
	return pt_control_open(at, err);
}

void pt_send_control_end(struct pt_send_control *c, int ret,
			 const struct pt_error *err, const char *guest)
{
	if (c->at && c->at->ctl && c->at->path)
		pt_record_end(c->at->path, status(c), ret, err, guest);
}

void pt_send_control_answer(struct pt_send_control *c)
{
	if (!c->at->ctl)
		return;
	look(c);
	pt_answer_all(c->at->ctl, REQUESTS_MAX, answer_to, c);
}
