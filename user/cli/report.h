/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* report: a transfer's figures, as JSON and as text. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>

#include "receive/receiver.h"
#include "send/sender.h"

/* The keys of both are in pagetrim-send(8) and pagetrim-receive(8); those that
 * QEMU's query-migrate has too have the same meaning. */
json_t *pt_report_send_json(const struct pt_send_report *r, int result,
			    const struct pt_error *err);
json_t *pt_report_receive_json(const struct pt_receive_report *r);

/* pt_report_ram_json: the key ram of a sender, before its end, too. */
json_t *pt_report_ram_json(const struct pt_send_report *r);

/* pt_report_ledger_json: the key ledger; sent: the sender's frames. */
json_t *pt_report_ledger_json(const struct pt_ledger *ledger, __u64 sent,
			      __u64 unaccounted);

/* pt_report_failed_json: a send or receive that failed before there was a
 * transfer: status, error-desc and exit alone. */
json_t *pt_report_failed_json(const struct pt_error *err);

/* pt_report_send_text prints a summary and the ledger on stdout. */
void pt_report_send_text(const struct pt_send_report *r);
void pt_report_receive_text(const struct pt_receive_report *r);

#endif
