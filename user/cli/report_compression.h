/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* report_compression: the compression of a sender, as JSON and as text. */
#ifndef CLI_REPORT_COMPRESSION_H
#define CLI_REPORT_COMPRESSION_H

#include <jansson.h>
#include <stdio.h>

#include "send/sender.h"

/* pt_report_compression_json: the key compression of a sender, before its end, too. */
json_t *pt_report_compression_json(const struct pt_send_report *r);

/* pt_report_compression_text prints a sentence, if frames were compressed. */
void pt_report_compression_text(FILE *out, const struct pt_send_report *r);

#endif
