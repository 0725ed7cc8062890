/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room doctor: diagnoses host, device and path.
 *
 *   knows         gathering facts, and judging them by pure code
 *   may use       base trim seal wire net xdp xsk
 *   must not know transfers
 */
/* doctor: finds out what will work on this host, and what will not, before
 * anything is sent.
 *
 *     gather: ask kernel, device and path ---> facts ---> judge: findings
 *
 * Gathering changes nothing and leaves nothing: it releases at once what it
 * tries (see gather_xdp.c).  It takes under 15 s, even if nothing answers.
 * Judging is pure.
 */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include "doctor/facts.h"
#include "doctor/finding.h"

/* pt_doctor_gather fills *facts.  to is "HOST[:PORT]", or NULL to ask about
 * receiving.  A fact that cannot be determined is noted as such, and is no
 * error. */
void pt_doctor_gather(struct pt_facts *facts, const char *dev, const char *to);

/* pt_doctor_judge fills *findings, which points to dev and to. */
void pt_doctor_judge(struct pt_findings *findings, const struct pt_facts *facts,
		     const char *dev, const char *to);

#endif
