/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/serve_report.h"

#include "cli/json_text.h"
#include "cli/output.h"
#include "memory/layout.h"

static const char *const results[] = {
	[PT_LAZY_WHOLE] = "whole", [PT_LAZY_STOPPED] = "stopped",
	[PT_LAZY_GONE] = "vmm-ended",
};

static void report_json(const struct pt_serve_report *s)
{
	const struct pt_lazy_counts *c = &s->record->counts;
	json_t *pages = json_object();

#define X(field, key, meaning) json_object_set_new(pages, key, json_integer(c->field));
	PT_LAZY_COUNTS(X)
#undef X
	json_object_set_new(pages, "pending", json_integer(s->record->pending_cnt));
	pt_out_json(json_pack(
		"{s:o, s:s, s:I, s:i, s:i, s:f, s:o, s:{s:f, s:f, s:f}}",
		"image", pt_json_clean(s->image), "result", results[s->end],
		"memory-bytes", (json_int_t)(s->record->page_cnt * PT_PAGE_SZ),
		"vmm-pid", s->record->vmm_pid, "servers", s->record->server_cnt,
		"seconds", s->seconds, "pages", pages,
		"fault-us", "p50", pt_latency_ns(s->latency, 500) / 1e3,
		"p99", pt_latency_ns(s->latency, 990) / 1e3,
		"max", s->latency->max_ns / 1e3));
}

static void report_text(const struct pt_serve_report *s)
{
	const struct pt_lazy_counts *c = &s->record->counts;

	pt_out_log("%s after %.3f s: %llu faults, p50 %.0f us, p99 %.0f us; pages: "
		   "%llu placed for faults, %llu in the background, %llu zero, %llu "
		   "given away, %llu there already, %llu damaged, %llu to be placed",
		   s->end == PT_LAZY_WHOLE ? "all is placed" : s->end == PT_LAZY_GONE ?
		   "the VMM ended" : "interrupted",
		   s->seconds, c->faults,
		   pt_latency_ns(s->latency, 500) / 1e3,
		   pt_latency_ns(s->latency, 990) / 1e3, c->served, c->filled,
		   c->zero, c->removed, c->there, c->poisoned,
		   s->record->pending_cnt);
}

void pt_serve_report(const struct pt_serve_report *report, bool json)
{
	if (json)
		report_json(report);
	else
		report_text(report);
}
