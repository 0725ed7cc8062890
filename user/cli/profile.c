/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/profile.h"

#include <stdio.h>

json_t *pt_profile_json(const struct pt_profile *p,
			const struct pt_stage_name *names, unsigned cnt)
{
	json_t *stages = json_object();

	for (unsigned i = 0; i < cnt; i++)
		json_object_set_new(stages, names[i].name, json_pack(
			"{s:f, s:I}", "time", p->stages[i].ns / 1e6,
			"bytes", (json_int_t)p->stages[i].bytes));
	return json_pack("{s:I, s:f, s:o}",
			 "threads", (json_int_t)p->thread_cnt,
			 "time", p->time_ns / 1e6, "stages", stages);
}

static void print_row(FILE *out, const struct pt_stage_name *name,
		      const struct pt_stage *stage, __u64 time_ns)
{
	double s = stage->ns / 1e9;

	fprintf(out, "  %-8s %9.3f %5.1f", name->name, s,
		time_ns ? 100.0 * stage->ns / time_ns : 0);
	if (stage->bytes)
		fprintf(out, " %15llu %7.2f", (unsigned long long)stage->bytes,
			s > 0 ? stage->bytes / s / 1e9 : 0);
	else
		fprintf(out, " %15s %7s", "-", "-");
	fprintf(out, "  %s\n", name->text);
}

void pt_profile_text(FILE *out, const struct pt_profile *p, const char *what,
		     const struct pt_stage_name *names, unsigned cnt)
{
	fprintf(out, "Profile of %s (%u thread%s, %.3f s):\n", what,
		p->thread_cnt, p->thread_cnt == 1 ? "" : "s", p->time_ns / 1e9);
	fprintf(out, "  %-8s %9s %5s %15s %7s\n", "stage", "seconds", "%",
		"bytes", "GB/s");
	for (unsigned i = 0; i < cnt; i++)
		if (p->stages[i].ns)
			print_row(out, &names[i], &p->stages[i], p->time_ns);
}
