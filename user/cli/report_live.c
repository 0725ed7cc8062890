/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/report_live.h"

#include "cli/json_text.h"
#include "cli/output.h"

#define MS(ns)	((ns) / 1e6)

/* sent_json: the part of a round that is known once all was placed. */
static json_t *sent_json(const struct pt_round *r)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f}",
		"pages", (json_int_t)r->pages,
		"delta-pages", (json_int_t)r->delta_pages,
		"delta-saved", (json_int_t)r->delta_saved,
		"transferred", (json_int_t)r->wire_bytes,
		"time", MS(r->took_ns), "pause-time", MS(r->pause_ns));
}

/* round_json leaves out the figures that no round has had yet. */
static json_t *round_json(const struct pt_round *r)
{
	json_t *o = json_pack("{s:i}", "round", r->idx);

	if (r->took_ns)
		json_object_update_new(o, sent_json(r));
	if (r->bytes_per_s)
		json_object_set_new(o, "rate", json_integer(r->bytes_per_s));
	if (r->is_judged || r->idx > 1)
		json_object_update_new(o, json_pack("{s:I, s:I, s:f}",
			"dirty-pages", (json_int_t)r->dirty_pages,
			"hot-pages", (json_int_t)r->hot_pages,
			"look-time", MS(r->look_ns)));
	if (r->is_judged)
		json_object_update_new(o, json_pack("{s:I, s:f}",
			"dirty-pages-rate", (json_int_t)r->dirty_per_s,
			"expected-downtime", MS(r->downtime_ns)));
	if (r->throttle)
		json_object_set_new(o, "cpu-throttle-percentage",
				    json_integer(r->throttle));
	return o;
}

static json_t *event_json(const char *name, __u64 at_ns)
{
	return json_pack("{s:s, s:f}", "event", name, "at", MS(at_ns));
}

json_t *pt_report_round_json(const struct pt_round *r, __u64 at_ns)
{
	json_t *o = event_json("round", at_ns);

	json_object_update_new(o, round_json(r));
	json_object_set_new(o, "converging", json_boolean(r->is_converging));
	return o;
}

static json_t *started_json(const struct pt_send_report *r)
{
	json_t *o = event_json("started", r->total_ns);

	json_object_update_new(o, json_pack("{s:o, s:I, s:s, s:f}",
		"transfer-id", json_sprintf("%016llx", (unsigned long long)
					    r->transfer_id),
		"total", (json_int_t)r->memory_sz,
		"tracker", r->live.tracking.tracker,
		"downtime-limit", MS(r->live.downtime_limit_ns)));
	return o;
}

json_t *pt_report_step_json(const struct pt_send_report *r)
{
	json_t *o;

	switch (r->live.step) {
	case PT_SEND_LIVE_ROUND:
		return r->live.round.idx == 1 ? started_json(r) : NULL;
	case PT_SEND_LIVE_STOP:
		o = event_json("stop", r->total_ns);
		json_object_set_new(o, "dirty-pages", json_integer(
				    r->live.round.dirty_pages));
		json_object_set_new(o, "expected-downtime", json_real(
				    MS(r->live.round.downtime_ns)));
		return o;
	case PT_SEND_LIVE_HAND_OVER:
		o = event_json("switchover", r->total_ns);
		json_object_set_new(o, "last-pages", json_integer(
				    r->live.last_pages));
		return o;
	case PT_SEND_LIVE_LACK:
		o = event_json("switchover", r->total_ns);
		json_object_set_new(o, "last-pages", json_integer(
				    r->live.last_pages));
		return o;
	case PT_SEND_LIVE_FILL:
		o = event_json("handed-over", r->total_ns);
		json_object_set_new(o, "downtime", json_real(
				    MS(r->live.downtime_ns)));
		json_object_set_new(o, "remaining", json_integer(
				    pt_send_left_sz(r)));
		return o;
	default:
		return NULL;
	}
}

/* some prints a count with its text if it is not 0. */
static const char *some(char to[64], const char *text, __u64 cnt)
{
	to[0] = '\0';
	if (cnt)
		snprintf(to, 64, text, (unsigned long long)cnt);
	return to;
}

void pt_report_round_log(const struct pt_round *r)
{
	char wire[16], rate[16], deltas[64], hot[64];

	pt_out_log("round %u: %llu pages%s, %s in %.1f ms (%s per second); %llu "
		   "pages dirty again%s, %llu written per second; expected "
		   "downtime %.1f ms", r->idx, (unsigned long long)r->pages,
		   some(deltas, ", %llu as deltas", r->delta_pages),
		   pt_out_human(r->wire_bytes, wire), MS(r->took_ns),
		   pt_out_human(r->bytes_per_s, rate),
		   (unsigned long long)r->dirty_pages,
		   some(hot, ", %llu of them left for last", r->hot_pages),
		   (unsigned long long)r->dirty_per_s, MS(r->downtime_ns));
	if (r->throttle)
		pt_out_log("round %u: the guest is throttled by %u %% from now "
			   "on", r->idx, r->throttle);
}

static json_t *downtime_json(const struct pt_send_live_report *r)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f}",
		"recheck", MS(r->recheck_ns), "last-round", MS(r->last_ns),
		"verify", MS(r->verify_ns), "device", MS(r->state_ns),
		"commit", MS(r->commit_ns));
}

static json_t *misses_json(__u32 misses)
{
	json_t *o = json_array();

	if (misses & PT_TRACK_MISSES_FILE_WRITES)
		json_array_append_new(o, json_string("file-writes"));
	if (misses & PT_TRACK_MISSES_MAPPERS)
		json_array_append_new(o, json_string("hidden-processes"));
	return o;
}

static json_t *tracker_json(const struct pt_live_report *t)
{
	return json_pack("{s:s, s:o, s:o, s:f, s:o, s:f}",
		"tracker", t->tracker, "tracker-reason", pt_json_clean(t->why),
		"compare-all-reason", pt_json_clean(t->compare_why),
		"missed-change-odds", t->odds, "may-miss",
		misses_json(t->misses), "arm-time", MS(t->arm_ns));
}

json_t *pt_report_live_json(const struct pt_send_live_report *r)
{
	const struct pt_live_report *t = &r->tracking;
	json_t *o = json_pack("{s:s, s:i, s:o, s:I, s:I, s:I, s:I}",
		"step", pt_send_live_step_name(r->step),
		"rounds", r->round.idx,
		"last", round_json(&r->round),
		"rechecked-pages", (json_int_t)t->suspect_cnt,
		"recheck-found-pages", (json_int_t)t->recheck_cnt,
		"last-pages", (json_int_t)r->last_pages,
		"device-bytes", (json_int_t)r->state_sz);

	if (r->step >= PT_SEND_LIVE_LACK)
		json_object_set_new(o, "postcopy", json_pack(
			"{s:b, s:I, s:I, s:f}", "handed-over", r->is_handed,
			"lacking-pages", (json_int_t)r->lacking_pages,
			"wanted-pages", (json_int_t)r->wanted_pages,
			"fill-time", MS(r->fill_ns)));
	if (t->tracker)
		json_object_update_new(o, tracker_json(t));
	if (t->stop_ns)
		json_object_set_new(o, "stop-time", json_real(MS(t->stop_ns)));
	if (r->downtime_ns)
		json_object_update_new(o, json_pack("{s:f, s:o}",
			"downtime", MS(r->downtime_ns),
			"downtime-parts", downtime_json(r)));
	return o;
}

void pt_report_live_text(FILE *out, const struct pt_send_live_report *r)
{
	const struct pt_live_report *t = &r->tracking;
	char state[16];

	if (r->is_handed)
		fprintf(out, "Post-copy: %llu pages came after the guest, in %.1f ms; it "
			"waited for %llu of them.  A QEMU there that had been killed "
			"meanwhile would have been a lost guest.\n",
			(unsigned long long)r->lacking_pages, MS(r->fill_ns),
			(unsigned long long)r->wanted_pages);
	if (!t->tracker)	/* the rest of a guest */
		return;
	fprintf(out, "Tracker: %s%s%s.\n", t->tracker ? t->tracker : "none",
		t->why[0] ? ", since " : "", t->why);
	if (t->compare_why[0])
		fprintf(out, "In its first 30 s a stop compares all memory, "
			"since %s.\n", t->compare_why);
	fprintf(out, "Rounds: %u, and a last one of %llu pages; %llu pages "
		"were compared at the stop.\n", r->round.idx,
		(unsigned long long)r->last_pages,
		(unsigned long long)t->suspect_cnt);
	fprintf(out, "Downtime: %.1f ms (last pages found %.1f, sent %.1f, "
		"verified %.1f; %s of device state %.1f; started %.1f).\n",
		MS(r->downtime_ns), MS(r->recheck_ns), MS(r->last_ns),
		MS(r->verify_ns), pt_out_human(r->state_sz, state),
		MS(r->state_ns), MS(r->commit_ns));
}
