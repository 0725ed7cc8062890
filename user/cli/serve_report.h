/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* serve_report: the report of `pagetrim serve` at its end. */
#ifndef CLI_SERVE_REPORT_H
#define CLI_SERVE_REPORT_H

#include "lazy/serve.h"

struct pt_serve_report {
	const char *image;		/* its path */
	const struct pt_lazy_record *record;
	const struct pt_latency *latency;
	double seconds;
	enum pt_lazy_end end;
};

/* pt_serve_report prints it: one JSON object, or a line of the log. */
void pt_serve_report(const struct pt_serve_report *report, bool json);

#endif
