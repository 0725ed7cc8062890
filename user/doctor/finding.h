/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* finding: the doctor's possible findings, and the list of those that it made.
 *
 * A finding has a subject, its id, which people and scripts use; an outcome is
 * one of the possible results for that subject.  Pure. */
#ifndef DOCTOR_FINDING_H
#define DOCTOR_FINDING_H

#include <linux/types.h>
#include <stdbool.h>

/* pt_severity: ordered.  ok: as it should be; info: good to know; warning:
 * works, but less well; error: something will not work. */
#define PT_SEVERITIES(X) \
	X(OK, "ok")	 \
	X(INFO, "info")	 \
	X(WARNING, "warning") \
	X(ERROR, "error")

enum pt_severity {
#define X(symbol, name) PT_SEVERITY_##symbol,
	PT_SEVERITIES(X)
#undef X
};

/* pt_finding_side: the end that it concerns.  A finding about receiving is only
 * a note if a HOST to send to was named; an error of the PEER is none of this
 * host. */
enum pt_finding_side { PT_SIDE_BOTH, PT_SIDE_RECEIVE, PT_SIDE_PEER };

/* pt_outcome: those of finding.def. */
enum pt_outcome {
#define X(symbol, id, severity, side, text, remedy) PT_FOUND_##symbol,
#include "doctor/finding.def"
#undef X
	PT_FOUND_CNT
};

#define PT_FINDINGS_MAX		64	/* per examination */
#define PT_FINDING_VALUE_SZ	256	/* bytes of a value, with its NUL */
#define PT_FINDING_TEXT_SZ	512	/* bytes of a text, with its NUL */

struct pt_finding {
	enum pt_outcome outcome;
	enum pt_severity severity;
	bool	is_number;	/* the value is a number, in decimal */
	char	value[PT_FINDING_VALUE_SZ]; /* ASCII, "" if it has none */
};

struct pt_findings {
	const char *dev;	/* the caller's, for {dev} */
	const char *to;		/* for {to}; NULL: the question is about
				 * receiving */
	__u32	cnt;
	struct pt_finding list[PT_FINDINGS_MAX];
};

/* pt_findings_add adds a finding with its value; at most PT_FINDINGS_MAX. */
__attribute__((format(printf, 3, 4)))
void pt_findings_add(struct pt_findings *f, enum pt_outcome outcome,
		     const char *fmt, ...);
void pt_findings_add_number(struct pt_findings *f, enum pt_outcome outcome,
			    double value);
void pt_findings_say(struct pt_findings *f, enum pt_outcome outcome);

/* pt_findings_exit returns 0: fine, or notes only; 1: warnings; PT_EXIT_HOST:
 * errors; PT_EXIT_PEER: errors, all of them the peer's. */
int pt_findings_exit(const struct pt_findings *f);

const char *pt_finding_id(const struct pt_finding *finding);
const char *pt_severity_name(enum pt_severity severity);

/* pt_finding_text and pt_finding_remedy write text and remedy with their parts
 * filled in, and return buf, one line of ASCII; a remedy may be "". */
const char *pt_finding_text(const struct pt_findings *f,
			    const struct pt_finding *finding,
			    char buf[PT_FINDING_TEXT_SZ]);
const char *pt_finding_remedy(const struct pt_findings *f,
			      const struct pt_finding *finding,
			      char buf[PT_FINDING_TEXT_SZ]);

#endif
