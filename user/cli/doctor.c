// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/limits.h"
#include "cli/options.h"
#include "cli/output.h"
#include "doctor/doctor.h"

struct doctor {
	const char *dev, *to;
	bool json;
};

static const struct pt_option required[] = {
	{ "dev", "DEV", "network device, e.g. eth1",
	  PT_OPTION(TEXT, struct doctor, dev), .offers = "device",
	  .required = true },
	{ }
};

static const struct pt_option options[] = {
	{ "to", "HOST[:PORT]", "receiver to be sent to (default port: 16644)",
	  PT_OPTION(TEXT, struct doctor, to), .offers = "host" },
	{ "json", NULL, "one JSON array on stdout; keys: pagetrim-doctor(8)",
	  PT_OPTION(FLAG, struct doctor, json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", required, 0 },
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_doctor = {
	.name = "doctor",
	.usage =
	"Usage: pagetrim doctor --dev DEV [options]\n"
	"\n"
	"Reports the features that will work on this host and the problems, each with\n"
	"its remedy, before anything is sent: kernel, privileges, the device, its\n"
	"queues and XDP programs, processor.  With --to also the path to a receiver;\n"
	"findings that concern only receiving are then no more than a note.\n"
	"\n"
	"One line per finding: severity (ok, info, warning, error), its subject, the\n"
	"finding, and in brackets the remedy.  A check that needs more privilege or a\n"
	"newer kernel is reported as such.  The host is not changed, and no file is\n"
	"left.\n",
	.groups = groups,
	.notes =
	"Exit: 0 fine, or notes only, 1 warnings: it works, but less well, 2 wrong\n"
	"      usage, 3 something will not work, 4 the receiver does not answer.\n"
	"Example: pagetrim doctor --dev eth1 --to 10.0.0.2\n",
};

/* value_json returns a number where the value is one; null without a value. */
static json_t *value_json(const struct pt_finding *finding)
{
	double number = strtod(finding->value, NULL);

	if (!finding->value[0])
		return json_null();
	if (!finding->is_number)
		return pt_json_clean(finding->value);
	return number == (json_int_t)number ? json_integer(number) :
					      json_real(number);
}

static void print_json(const struct pt_findings *f)
{
	char text[PT_FINDING_TEXT_SZ], remedy[PT_FINDING_TEXT_SZ];
	json_t *all = json_array();

	for (__u32 i = 0; i < f->cnt; i++) {
		const struct pt_finding *finding = &f->list[i];

		pt_finding_remedy(f, finding, remedy);
		json_array_append_new(all, json_pack(
			"{s:s, s:s, s:o, s:o, s:o}",
			"id", pt_finding_id(finding),
			"severity", pt_severity_name(finding->severity),
			"text", pt_json_clean(pt_finding_text(f, finding,
							      text)),
			"remedy", remedy[0] ? pt_json_clean(remedy)
					    : json_null(),
			"value", value_json(finding)));
	}
	pt_out_json(all);
}

static void print_text(const struct pt_findings *f)
{
	char text[PT_FINDING_TEXT_SZ], remedy[PT_FINDING_TEXT_SZ], id[32];

	for (__u32 i = 0; i < f->cnt; i++) {
		const struct pt_finding *finding = &f->list[i];

		snprintf(id, sizeof(id), "%s:", pt_finding_id(finding));
		pt_finding_text(f, finding, text);
		pt_finding_remedy(f, finding, remedy);
		printf("%-8s %-13s %s%s%s%s\n",
		       pt_severity_name(finding->severity), id, text,
		       remedy[0] ? " (" : "", remedy, remedy[0] ? ")" : "");
	}
}

int pt_cmd_doctor(int argc, char **argv)
{
	struct doctor d = { 0 };
	struct pt_findings *findings;
	struct pt_facts *facts;
	int code = pt_options_parse(&pt_command_doctor, &d, argc, argv);

	if (code >= 0)
		return code;
	pt_limits_raise_files();
	if (pt_files_are_few()) {	/* else each try would fail by that */
		fprintf(stderr, "pagetrim doctor: fewer than %d file "
			"descriptors are left (raise ulimit -n)\n",
			PT_FILES_FEW);
		return PT_EXIT_HOST;
	}
	facts = malloc(sizeof(*facts));
	findings = malloc(sizeof(*findings));
	if (!facts || !findings) {
		fputs("pagetrim doctor: no memory\n", stderr);
		code = PT_EXIT_HOST;
		goto free;
	}
	pt_doctor_gather(facts, d.dev, d.to);
	pt_doctor_judge(findings, facts, d.dev, d.to);
	if (d.json)
		print_json(findings);
	else
		print_text(findings);
	code = pt_findings_exit(findings);
free:
	free(findings);
	free(facts);
	return code;
}
