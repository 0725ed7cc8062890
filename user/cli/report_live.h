/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* report_live: the figures of memory that changes while it is sent, as JSON and
 * as text.  The keys are in pagetrim-migrate(8). */
#ifndef CLI_REPORT_LIVE_H
#define CLI_REPORT_LIVE_H

#include <jansson.h>
#include <stdio.h>

#include "send/sender.h"

/* pt_report_round_json: the event of a round's end; at_ns: since the sender
 * began.  pt_report_round_log logs the same. */
json_t *pt_report_round_json(const struct pt_round *r, __u64 at_ns);

/* pt_report_step_json: the event of the step that was entered; NULL: none. */
json_t *pt_report_step_json(const struct pt_send_report *r);

void pt_report_round_log(const struct pt_round *r);

/* pt_report_live_json: the part of a report; pt_report_live_text prints it. */
json_t *pt_report_live_json(const struct pt_send_live_report *r);
void pt_report_live_text(FILE *out, const struct pt_send_live_report *r);

#endif
