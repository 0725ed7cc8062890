/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* judge: the parts of pt_doctor_judge.  Pure: facts in, findings out. */
#ifndef DOCTOR_JUDGE_H
#define DOCTOR_JUDGE_H

#include "doctor/facts.h"
#include "doctor/finding.h"

#define PT_LARGE_FRAME_KERNEL	PT_KERNEL(6, 6)	/* AF_XDP, several buffers */
#define PT_TX_BUDGET_KERNEL	PT_KERNEL(6, 17)
#define PT_QUEUE_MEMORY_SZ	(8ull << 20)	/* bytes locked for a queue */
#define PT_ONE_BUFFER_MTU	3822	/* for frames of one RX buffer: 3840
					 * bytes, with Ethernet and a VLAN
					 * tag */

void judge_host(struct pt_findings *f, const struct pt_facts *facts);
void judge_device(struct pt_findings *f, const struct pt_facts *facts);
void judge_xdp(struct pt_findings *f, const struct pt_facts *facts);
void judge_path(struct pt_findings *f, const struct pt_facts *facts);

#endif
