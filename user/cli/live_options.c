/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/live_options.h"

#include "cli/output.h"
#include "cli/report_live.h"

static const struct pt_option_word trackers[] = {
	{ "auto", PT_LIVE_TRACKER_AUTO }, { "wp-async", PT_LIVE_TRACKER_WP },
	{ "digest", PT_LIVE_TRACKER_DIGEST }, { }
};

static const struct pt_option_word no_converge[] = {
	{ "cancel", PT_NO_CONVERGE_CANCEL }, { "stop", PT_NO_CONVERGE_STOP },
	{ "throttle", PT_NO_CONVERGE_THROTTLE }, { }
};

const struct pt_option pt_live_options[] = {
	{ "downtime-limit", "MS",
	  "the writer is stopped once that is expected to take no longer, "
	  "1..60000 (default 300)",
	  PT_OPTION(NUMBER, struct pt_live_options, downtime_limit_ms),
	  .min = 1, .max = PT_DOWNTIME_MAX_MS, .initial = PT_DOWNTIME_DEFAULT_MS },
	{ "max-rounds", "N",
	  "rounds until then, 1..10000 (default 30)",
	  PT_OPTION(NUMBER, struct pt_live_options, cfg.converge.rounds_max),
	  .min = 1, .max = 10000, .initial = PT_ROUNDS_DEFAULT },
	{ "deadline", "S",
	  "the move is to be over S seconds after its start, 1..86400; takes the "
	  "place of --max-rounds (default: none)",
	  PT_OPTION(NUMBER, struct pt_live_options, deadline_s),
	  .min = 1, .max = 86400 },
	{ "on-no-converge", "HOW",
	  "after the last round: cancel: the transfer fails, and the writer is "
	  "not stopped (default); stop: it is stopped for longer than the limit; "
	  "throttle: a guest gets less CPU time before, then as cancel",
	  PT_OPTION(WORD, struct pt_live_options, cfg.converge.otherwise),
	  .words = no_converge },
	{ "tracker", "HOW",
	  "how written pages are found: wp-async: by write protection (Linux "
	  "6.7); digest: by reading all memory; auto: the best that works "
	  "(default)",
	  PT_OPTION(WORD, struct pt_live_options, cfg.tracker),
	  .words = trackers },
	{ "delta-cache", "SIZE",
	  "bytes that remember sent pages, so that a page that is written again "
	  "goes as its changed blocks, with K, M or G for powers of 1024; 0: no "
	  "such pages (default 64M)",
	  PT_OPTION(NUMBER, struct pt_live_options, delta_cache_sz),
	  .max = PT_SEND_DELTA_CACHE_MAX, .suffix = true, .initial = PT_SEND_DELTA_CACHE_SZ,
	  .offers = "=0 64M 256M" },
	{ }
};

void pt_live_options_fill(struct pt_live_options *o,
			  struct pt_sender_cfg *sender)
{
	sender->delta_cache_sz = o->delta_cache_sz ? o->delta_cache_sz
						   : PT_SEND_DELTA_OFF;
	o->cfg.converge.downtime_ns = o->downtime_limit_ms * 1000000ULL;
	o->cfg.converge.deadline_ns = o->deadline_s * 1000000000ULL;
}

bool pt_live_options_are_given(const struct pt_live_options *o)
{
	return o->downtime_limit_ms != PT_DOWNTIME_DEFAULT_MS ||
	       o->cfg.converge.rounds_max != PT_ROUNDS_DEFAULT ||
	       o->cfg.converge.otherwise != PT_NO_CONVERGE_CANCEL ||
	       o->cfg.tracker != PT_LIVE_TRACKER_AUTO ||
	       o->delta_cache_sz != PT_SEND_DELTA_CACHE_SZ || o->deadline_s;
}

void pt_live_round(struct pt_send_run *run, const struct pt_round *r)
{
	if (!run->agent->json) {
		pt_report_round_log(r);
		return;
	}
	pt_sender_status(run->sender, &run->report);
	pt_out_event(pt_report_round_json(r, run->report.total_ns));
}

void pt_live_entered(struct pt_send_run *run)
{
	json_t *event;

	if (!run->agent->json)
		return;
	pt_sender_status(run->sender, &run->report);
	event = pt_report_step_json(&run->report);
	if (event)
		pt_out_event(event);
}
