/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* metrics: the answer to the request 'status' as OpenMetrics text, for a
 * collector such as Prometheus.  The suffixes of the names are KubeVirt's where
 * it has the same figure.  Pure.
 *
 * Source: OpenMetrics 1.0, "Text Format". */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include <jansson.h>
#include <stdio.h>

/* pt_metrics_text prints the families of which status has the figure, for each of
 * its transfers, and "# EOF".  status is of send_control, receive_control or a
 * record. */
void pt_metrics_text(FILE *out, const json_t *status);

#endif
