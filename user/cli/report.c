/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/report.h"

#include <stdio.h>

#include "base/text.h"
#include "cli/json_text.h"
#include "cli/output.h"
#include "cli/profile.h"
#include "cli/record.h"
#include "cli/report_compression.h"
#include "cli/report_live.h"

#define MS(ns)	((ns) / 1e6)

json_t *pt_report_ledger_json(const struct pt_ledger *ledger, __u64 sent,
			      __u64 unaccounted)
{
	json_t *o = json_object();

	json_object_set_new(o, "sent", json_integer(sent));
#define X(name, text) \
	json_object_set_new(o, #name, json_integer(ledger->name));
	PT_LEDGER_FIELDS(X)
#undef X
	json_object_set_new(o, "unaccounted", json_integer(unaccounted));
	return o;
}

static void ledger_text(FILE *out, const struct pt_ledger *ledger, __u64 sent,
			__u64 unaccounted)
{
	fprintf(out, "Ledger:\n");
	fprintf(out, "  %-18s %12llu  %s\n", "sent", (unsigned long long)sent,
		"data frames, by the sender");
#define X(name, text) \
	fprintf(out, "  %-18s %12llu  %s\n", #name, \
		(unsigned long long)ledger->name, text);
	PT_LEDGER_FIELDS(X)
#undef X
	fprintf(out, "  %-18s %12llu  %s\n", "unaccounted",
		(unsigned long long)unaccounted, "must be 0");
}

static void set_error(json_t *o, const struct pt_error *err)
{
	json_object_set_new(o, "error-desc", pt_json_clean(err->text));
	json_object_set_new(o, "exit", json_integer(err->exit));
}

json_t *pt_report_failed_json(const struct pt_error *err)
{
	json_t *o = json_pack("{s:s}", "status", "failed");

	set_error(o, err);
	return o;
}

static json_t *id_json(__u64 id)
{
	return json_sprintf("%016llx", (unsigned long long)id);
}

static json_t *lanes_json(const struct pt_send_report *r)
{
	json_t *lanes = json_array();

	for (__u32 i = 0; i < r->lane_cnt; i++) {
		const struct pt_send_lane_report *l = &r->lanes[i];

		json_array_append_new(lanes, json_pack(
			"{s:i, s:i, s:i, s:s, s:b, s:I}", "tx-queue", l->tx_queue,
			"rx-queue", l->rx_queue, "frame-bytes", l->frame_sz,
			"hugepages", pt_hugepages_name(l->hugepages),
			"zero-copy", l->zero_copy,
			"frames", (json_int_t)l->frames));
	}
	return lanes;
}

static json_t *adaptive_json(const struct pt_adaptive_counts *c)
{
	json_t *o = json_object();

#define X(symbol, name, text) \
	json_object_set_new(o, name, json_integer(c->symbol));
	PT_ADAPTIVE_COUNTS(X)
#undef X
	return o;
}

static json_t *copies_json(const struct pt_send_report *r)
{
	return json_pack("{s:b, s:I, s:I}", "used", r->uses_copies,
			 "pages", (json_int_t)r->copies,
			 "put-off", (json_int_t)r->put_off);
}

static json_t *deltas_json(const struct pt_send_report *r)
{
	return json_pack("{s:b, s:I, s:I, s:I}", "used", r->uses_deltas,
			 "pages", (json_int_t)r->deltas,
			 "saved", (json_int_t)r->delta_saved,
			 "cache-size", (json_int_t)r->delta_cache_sz);
}

static json_t *path_json(const struct pt_send_report *r)
{
	const struct pt_regulator_look *p = &r->path;

	if (!r->has_path)
		return json_null();
	return json_pack("{s:s, s:I, s:I, s:f, s:f, s:I}", "mode", p->mode,
			 "rate", (json_int_t)p->bytes_per_s,
			 "window", (json_int_t)p->window,
			 "rtt-min", MS(p->rtt_ns), "queue", MS(p->queue_ns),
			 "waits", (json_int_t)r->path_waits);
}

json_t *pt_report_ram_json(const struct pt_send_report *r)
{
	double s = r->send_ns / 1e9;
	json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:f}",
		"transferred", (json_int_t)r->wire_bytes,
		"remaining", (json_int_t)pt_send_left_sz(r),
		"total", (json_int_t)r->memory_sz,
		"duplicate", (json_int_t)r->zero_pages_sent,
		"normal", (json_int_t)r->pages_sent,
		"normal-bytes", (json_int_t)(r->pages_sent * PT_PAGE_SZ),
		"mbps", s > 0 ? r->wire_bytes * 8 / s / 1e6 : 0.0,
		"dirty-sync-count", (json_int_t)r->generations,
		"page-size", (json_int_t)PT_PAGE_SZ,
		"pages-per-second",
		s > 0 ? (r->page_cnt - r->pages_left) / s : 0.0);

	if (!r->live.step || r->live.round.is_judged)
		json_object_set_new(o, "dirty-pages-rate", json_integer(
				    r->live.round.dirty_per_s));
	return o;
}

static json_t *send_profile_json(const struct pt_send_report *r)
{
	json_t *o = pt_profile_json(&r->profile, pt_send_stage_names,
				    PT_SEND_STAGE_CNT);

	json_object_set_new(o, "control", pt_profile_json(&r->control,
			    pt_send_stage_names, PT_SEND_STAGE_CNT));
	return o;
}

static json_t *unreadable_json(const struct pt_page_names *n)
{
	json_t *ranges = json_array();

	for (__u32 i = 0; i < n->range_cnt && i < PT_PAGE_NAMES_MAX; i++)
		json_array_append_new(ranges, json_pack("{s:I, s:I}",
			"gfn", (json_int_t)n->named[i].first,
			"pages", (json_int_t)n->named[i].cnt));
	return json_pack("{s:I, s:i, s:o}", "pages", (json_int_t)n->page_cnt,
			 "range-count", n->range_cnt, "ranges", ranges);
}

static json_t *sent_unreadable_json(const struct pt_send_report *r)
{
	json_t *o = unreadable_json(&r->unreadable);

	json_object_set_new(o, "zeroed-pages", json_integer(r->zeroed_pages));
	return o;
}

static void zeroed_text(FILE *out, __u64 page_cnt)
{
	if (page_cnt)
		fprintf(out, "Unreadable: %llu page%s could not be read, and went as "
			"zeroes.\n", (unsigned long long)page_cnt,
			page_cnt == 1 ? "" : "s");
}

static void unreadable_text(FILE *out, const struct pt_page_names *n)
{
	const char *between = "";

	if (!n->page_cnt)
		return;
	fprintf(out, "Unreadable: %llu page%s could not be read at the source: ",
		(unsigned long long)n->page_cnt, n->page_cnt == 1 ? "" : "s");
	for (__u32 i = 0; i < n->range_cnt && i < PT_PAGE_NAMES_MAX; i++) {
		fprintf(out, "%s%llu from 0x%llx on", between,
			(unsigned long long)n->named[i].cnt,
			(unsigned long long)n->named[i].first * PT_PAGE_SZ);
		between = ", ";
	}
	if (n->range_cnt > PT_PAGE_NAMES_MAX)
		fprintf(out, ", and %u more ranges",
			n->range_cnt - PT_PAGE_NAMES_MAX);
	fprintf(out, ".\n");
}

json_t *pt_report_send_json(const struct pt_send_report *r, int result,
			    const struct pt_error *err)
{
	json_t *o = json_object();

	json_object_set_new(o, "status",
			    json_string(pt_record_result(result, err)));
	if (result) {
		set_error(o, err);
		json_object_set_new(o, "phase", json_string(
				    pt_send_phase_name(r->phase)));
	}
	json_object_set_new(o, "total-time", json_real(MS(r->total_ns)));
	json_object_set_new(o, "setup-time", json_real(MS(r->setup_ns)));
	json_object_set_new(o, "compare-time", json_real(MS(r->compare_ns)));
	json_object_set_new(o, "send-time", json_real(MS(r->send_ns)));
	json_object_set_new(o, "verify-time", json_real(MS(r->verify_ns)));
	json_object_set_new(o, "recheck-time", json_real(MS(r->recheck_ns)));
	json_object_set_new(o, "commit-time", json_real(MS(r->commit_ns)));
	json_object_set_new(o, "max-bandwidth", json_integer(r->bytes_per_s));
	json_object_set_new(o, "transfer-id", id_json(r->transfer_id));
	json_object_set_new(o, "session-id", id_json(r->session_id));
	json_object_set_new(o, "cipher",
			    json_string(pt_cipher_name(r->cipher)));
	json_object_set_new(o, "ram", pt_report_ram_json(r));
	json_object_set_new(o, "pages", json_integer(r->page_cnt));
	json_object_set_new(o, "resumed", json_boolean(r->is_resumed));
	json_object_set_new(o, "held-pages", json_integer(r->held_page_cnt));
	json_object_set_new(o, "held-bytes", json_integer(r->held_block_bytes));
	json_object_set_new(o, "block-bytes", json_integer(r->block_bytes));
	json_object_set_new(o, "frames", json_integer(r->frames));
	json_object_set_new(o, "frames-lost", json_integer(r->frames_lost));
	json_object_set_new(o, "probes", json_integer(r->probes));
	json_object_set_new(o, "credit-waits", json_integer(r->credit_waits));
	json_object_set_new(o, "path", path_json(r));
	json_object_set_new(o, "governor", adaptive_json(&r->adaptive));
	json_object_set_new(o, "copies", copies_json(r));
	json_object_set_new(o, "deltas", deltas_json(r));
	json_object_set_new(o, "compression",
			    pt_report_compression_json(r));
	json_object_set_new(o, "unreadable", sent_unreadable_json(r));
	json_object_set_new(o, "files-bytes", json_integer(r->files_sz));
	json_object_set_new(o, "large-pages", r->knows_large
			    ? json_integer(r->large_cnt) : json_null());
	json_object_set_new(o, "lanes", lanes_json(r));
	if (r->live.step)
		json_object_set_new(o, "live", pt_report_live_json(&r->live));
	if (r->has_ledger)
		json_object_set_new(o, "ledger",
				    pt_report_ledger_json(&r->ledger, r->frames,
							  r->unaccounted));
	if (r->has_profile)
		json_object_set_new(o, "profile", send_profile_json(r));
	return o;
}

static json_t *receive_profile_json(const struct pt_receive_report *r)
{
	json_t *o = pt_profile_json(&r->profile, pt_receive_stage_names,
				    PT_RECEIVE_STAGE_CNT);

	json_object_set_new(o, "placers", pt_profile_json(&r->placers,
			    pt_receive_stage_names, PT_RECEIVE_STAGE_CNT));
	return o;
}

static json_t *large_json(const struct pt_receive_large *l)
{
	return json_pack("{s:o, s:I, s:o, s:s, s:f, s:I}",
		"source", l->is_told ? json_integer(l->source_cnt) : json_null(),
		"wanted", (json_int_t)l->wanted_cnt, "large",
		l->count.is_counted ? json_integer(l->count.large_cnt)
				    : json_null(), "why", l->why,
		"build-time", MS(l->count.build_ns), "unmapped-pages",
		(json_int_t)l->count.unmapped_cnt);
}

static json_t *sockets_json(const struct pt_receive_report *r)
{
	json_t *sockets = json_array();

	for (__u32 i = 0; i < r->queue_cnt; i++)
		json_array_append_new(sockets, json_pack("{s:i, s:b}",
			"queue", r->queues[i], "zero-copy", r->zero_copy[i]));
	return sockets;
}

json_t *pt_report_receive_json(const struct pt_receive_report *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "status", json_string(r->result ? "failed"
							       : "completed"));
	if (r->result)
		set_error(o, &r->error);
	json_object_set_new(o, "name", pt_json_clean(r->name));
	json_object_set_new(o, "path", pt_json_clean(r->path));
	json_object_set_new(o, "peer", pt_json_clean(r->peer));
	json_object_set_new(o, "identity", pt_json_clean(r->identity));
	json_object_set_new(o, "transfer-id", id_json(r->transfer_id));
	json_object_set_new(o, "session-id", id_json(r->session_id));
	json_object_set_new(o, "cipher",
			    json_string(pt_cipher_name(r->cipher)));
	json_object_set_new(o, "total-time", json_real(MS(r->total_ns)));
	json_object_set_new(o, "commit-time", json_real(MS(r->commit_ns)));
	json_object_set_new(o, "resumed", json_boolean(r->is_resumed));
	json_object_set_new(o, "held-pages", json_integer(r->held_page_cnt));
	json_object_set_new(o, "kept", json_boolean(r->is_kept));
	json_object_set_new(o, "total", json_integer(r->memory_sz));
	json_object_set_new(o, "unreadable", unreadable_json(&r->unreadable));
	json_object_set_new(o, "files-bytes", json_integer(r->files_sz));
	json_object_set_new(o, "state-bytes", json_integer(r->state_sz));
	json_object_set_new(o, "segments", json_integer(r->segment_cnt));
	json_object_set_new(o, "lanes", json_integer(r->lane_cnt));
	json_object_set_new(o, "queues", json_integer(r->queue_cnt));
	json_object_set_new(o, "sockets", sockets_json(r));
	json_object_set_new(o, "hugepages",
			    json_string(pt_hugepages_name(r->hugepages)));
	if (!r->result)
		json_object_set_new(o, "large-pages", large_json(&r->large));
	if (r->has_ledger)
		json_object_set_new(o, "ledger",
				    pt_report_ledger_json(&r->ledger, r->sent,
							  r->unaccounted));
	if (r->has_profile)
		json_object_set_new(o, "profile", receive_profile_json(r));
	return o;
}

/* sent_text tells the pages that went, and in which form. */
static void sent_text(FILE *out, const struct pt_send_report *r)
{
	char memory[16], wire[16];
	double s = r->send_ns / 1e9;

	fprintf(out, "Sent %s of memory, %llu pages, in %.3f s (set-up %.3f, "
		"send %.3f, verify %.3f, commit %.3f).\n",
		pt_out_human(r->memory_sz, memory),
		(unsigned long long)r->page_cnt, r->total_ns / 1e9,
		r->setup_ns / 1e9, s, r->verify_ns / 1e9, r->commit_ns / 1e9);
	fprintf(out, "On the wire: %s in %llu frames, %.0f Mbit/s; %llu pages "
		"with data, %llu zero.\n", pt_out_human(r->wire_bytes, wire),
		(unsigned long long)r->frames,
		s > 0 ? r->wire_bytes * 8 / s / 1e6 : 0,
		(unsigned long long)r->pages_sent,
		(unsigned long long)r->zero_pages_sent);
	unreadable_text(out, &r->unreadable);
	zeroed_text(out, r->zeroed_pages);
	if (r->uses_copies)
		fprintf(out, "Copies: %llu of the pages with data equal "
			"another, and went as copies; %llu were put off for "
			"it.\n",
			(unsigned long long)r->copies,
			(unsigned long long)r->put_off);
	if (r->uses_deltas)
		fprintf(out, "Deltas: %llu of the pages with data went as their "
			"changed blocks, which saved %s; %s remember sent "
			"pages.\n", (unsigned long long)r->deltas,
			pt_out_human(r->delta_saved, memory),
			pt_out_human(r->delta_cache_sz, wire));
	pt_report_compression_text(out, r);
	if (r->adaptive.pages_searched || r->adaptive.pages_unsearched)
		fprintf(out, "Trimmed: %llu of %llu pages were searched; the "
			"others %s whole, about %.2f %% of their blocks "
			"zero.\n",
			(unsigned long long)r->adaptive.pages_searched,
			(unsigned long long)(r->adaptive.pages_searched +
					     r->adaptive.pages_unsearched),
			r->observes ? "would have gone" : "went",
			r->adaptive.pages_unsearched
			? 100.0 * r->adaptive.blocks_missed /
			  (r->adaptive.pages_unsearched * PT_PAGE_BLOCKS) : 0);
	if (r->is_resumed)
		fprintf(out, "Resumed: %llu pages with data, %s of blocks, "
			"were there already.\n",
			(unsigned long long)r->held_page_cnt,
			pt_out_human(r->held_block_bytes, memory));
}

/* ways_text tells the limits, the path and the lanes. */
static void ways_text(FILE *out, const struct pt_send_report *r)
{
	char memory[16], wire[16];

	if (r->bytes_per_s)
		fprintf(out, "Limit: %s a second.\n",
			pt_out_human(r->bytes_per_s, memory));
	if (r->has_path)
		fprintf(out, "Path: round trip of %.2f ms at least, %s a "
			"second and %s in flight at the end (by %s).\n",
			r->path.rtt_ns / 1e6,
			pt_out_human(r->path.bytes_per_s, memory),
			pt_out_human(r->path.window, wire), r->path.mode);
	for (__u32 i = 0; i < r->lane_cnt; i++)
		if (r->lanes[i].frame_sz)
			fprintf(out, "Lane %u: TX queue %u to RX queue %u, "
				"frames of up to %u bytes, %llu of them; %s, "
				"huge pages: %s.\n", i,
				r->lanes[i].tx_queue, r->lanes[i].rx_queue,
				r->lanes[i].frame_sz,
				(unsigned long long)r->lanes[i].frames,
				r->lanes[i].zero_copy ? "zero copy"
						      : "copy mode",
				pt_hugepages_name(r->lanes[i].hugepages));
}

static void send_text(FILE *out, const void *arg)
{
	const struct pt_send_report *r = arg;

	sent_text(out, r);
	ways_text(out, r);
	if (r->live.step)
		pt_report_live_text(out, &r->live);
	if (r->has_ledger)
		ledger_text(out, &r->ledger, r->frames, r->unaccounted);
	if (!r->has_profile)
		return;
	pt_profile_text(out, &r->profile, "the lanes", pt_send_stage_names,
			PT_SEND_STAGE_CNT);
	pt_profile_text(out, &r->control, "control", pt_send_stage_names,
			PT_SEND_STAGE_CNT);
}

static void large_text(FILE *out, const struct pt_receive_large *l)
{
	if (l->wanted_cnt || l->apart_cnt)
		fprintf(out, "Large pages: %llu of the %llu wanted, %llu at the "
			"source%s%s.\n",
			(unsigned long long)l->count.large_cnt,
			(unsigned long long)l->wanted_cnt,
			(unsigned long long)l->source_cnt,
			l->why[0] ? "; " : "", l->why);
	if (l->count.unmapped_cnt)
		fprintf(out, "Not mapped by the guest's process: %llu pages "
			"with data.\n",
			(unsigned long long)l->count.unmapped_cnt);
}

static void receive_text(FILE *out, const void *arg)
{
	const struct pt_receive_report *r = arg;
	char memory[16], path[PT_TEXT_CLEAN_SZ(sizeof(r->path))];

	pt_text_clean(path, sizeof(path), r->path);
	fprintf(out, "Received %s from %s%s%s to %s in %.3f s (commit %.3f).\n",
		pt_out_human(r->memory_sz, memory), r->peer,
		r->identity[0] ? " as " : "", r->identity, path,
		r->total_ns / 1e9, r->commit_ns / 1e9);
	unreadable_text(out, &r->unreadable);
	if (r->is_resumed)
		fprintf(out, "Resumed: %llu pages with data were held.\n",
			(unsigned long long)r->held_page_cnt);
	large_text(out, &r->large);
	if (r->has_ledger)
		ledger_text(out, &r->ledger, r->sent, r->unaccounted);
	if (!r->has_profile)
		return;
	pt_profile_text(out, &r->profile, "the queues", pt_receive_stage_names,
			PT_RECEIVE_STAGE_CNT);
	if (r->placers.thread_cnt)
		pt_profile_text(out, &r->placers, "the placers",
				pt_receive_stage_names, PT_RECEIVE_STAGE_CNT);
}

void pt_report_send_text(const struct pt_send_report *r)
{
	pt_out_whole(send_text, r);
}

void pt_report_receive_text(const struct pt_receive_report *r)
{
	pt_out_whole(receive_text, r);
}
