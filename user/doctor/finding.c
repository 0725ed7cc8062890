// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <pagetrim/check.h>
#include <pagetrim/error.h>

static const struct kind {
	const char *id, *text, *remedy;
	enum pt_severity severity;
	enum pt_finding_side side;
} kinds[PT_FOUND_CNT] = {
#define X(symbol, id_, severity_, side_, text_, remedy_)		\
	[PT_FOUND_##symbol] = {						\
		.id = id_,						\
		.text = text_,						\
		.remedy = remedy_,					\
		.severity = PT_SEVERITY_##severity_,			\
		.side = PT_SIDE_##side_,				\
	},
#include "doctor/finding.def"
#undef X
};

static const char *const severity_names[] = {
#define X(symbol, name) [PT_SEVERITY_##symbol] = name,
	PT_SEVERITIES(X)
#undef X
};

/* plain: one line of ASCII, also for names that users and drivers choose. */
static void plain(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static struct pt_finding *add(struct pt_findings *f, enum pt_outcome outcome)
{
	const struct kind *kind = &kinds[outcome];
	struct pt_finding *finding;

	pt_check((unsigned)outcome < PT_FOUND_CNT);
	pt_check(f->cnt < PT_FINDINGS_MAX);
	finding = &f->list[f->cnt++];
	finding->outcome = outcome;
	finding->severity = kind->severity;
	finding->is_number = false;
	finding->value[0] = '\0';
	if (f->to && kind->side == PT_SIDE_RECEIVE &&
	    finding->severity > PT_SEVERITY_INFO)
		finding->severity = PT_SEVERITY_INFO;
	return finding;
}

void pt_findings_add(struct pt_findings *f, enum pt_outcome outcome,
		     const char *fmt, ...)
{
	struct pt_finding *finding = add(f, outcome);
	va_list args;

	va_start(args, fmt);
	vsnprintf(finding->value, sizeof(finding->value), fmt, args);
	va_end(args);
	plain(finding->value);
}

void pt_findings_add_number(struct pt_findings *f, enum pt_outcome outcome,
			    double value)
{
	struct pt_finding *finding = add(f, outcome);

	finding->is_number = true;
	snprintf(finding->value, sizeof(finding->value), "%.10g", value);
}

void pt_findings_say(struct pt_findings *f, enum pt_outcome outcome)
{
	add(f, outcome);
}

int pt_findings_exit(const struct pt_findings *f)
{
	bool ours = false, peers = false, warned = false;

	for (__u32 i = 0; i < f->cnt; i++) {
		const struct pt_finding *finding = &f->list[i];

		if (finding->severity == PT_SEVERITY_WARNING)
			warned = true;
		if (finding->severity != PT_SEVERITY_ERROR)
			continue;
		if (kinds[finding->outcome].side == PT_SIDE_PEER)
			peers = true;
		else
			ours = true;
	}
	return ours ? PT_EXIT_HOST : peers ? PT_EXIT_PEER :
	       warned ? PT_EXIT_FAILED : PT_EXIT_OK;
}

const char *pt_finding_id(const struct pt_finding *finding)
{
	return kinds[finding->outcome].id;
}

const char *pt_severity_name(enum pt_severity severity)
{
	return severity_names[severity];
}

/* part returns the value for the braces at *at, and steps over them; NULL: the
 * text is literal. */
static const char *part(const struct pt_findings *f,
			const struct pt_finding *finding, const char **at)
{
	const struct {
		const char *mark, *text;
	} parts[] = {
		{ "{}", finding->value },
		{ "{dev}", f->dev },
		{ "{to}", f->to ? f->to : "" },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t sz = strlen(parts[i].mark);

		if (strncmp(*at, parts[i].mark, sz))
			continue;
		*at += sz;
		return parts[i].text;
	}
	return NULL;
}

/* fill cuts a text that does not fit. */
static const char *fill(const struct pt_findings *f,
			const struct pt_finding *finding, const char *text,
			char buf[PT_FINDING_TEXT_SZ])
{
	size_t used = 0, sz;
	const char *from;

	while (*text && used < PT_FINDING_TEXT_SZ - 1) {
		from = part(f, finding, &text);
		if (!from) {
			buf[used++] = *text++;
			continue;
		}
		sz = strnlen(from, PT_FINDING_TEXT_SZ - 1 - used);
		memcpy(buf + used, from, sz);
		used += sz;
	}
	buf[used] = '\0';
	plain(buf);
	return buf;
}

const char *pt_finding_text(const struct pt_findings *f,
			    const struct pt_finding *finding,
			    char buf[PT_FINDING_TEXT_SZ])
{
	return fill(f, finding, kinds[finding->outcome].text, buf);
}

const char *pt_finding_remedy(const struct pt_findings *f,
			      const struct pt_finding *finding,
			      char buf[PT_FINDING_TEXT_SZ])
{
	return fill(f, finding, kinds[finding->outcome].remedy, buf);
}
