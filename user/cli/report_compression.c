/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/report_compression.h"

#include <string.h>

#include "cli/output.h"

/* compressed sums up the methods that compress. */
static struct pt_send_method compressed(const struct pt_send_report *r)
{
	struct pt_send_method all = { 0 };

	for (int m = PT_COMPRESSION_NONE + 1; m < PT_COMPRESSION_CNT; m++) {
		all.frames += r->methods[m].frames;
		all.raw += r->methods[m].raw;
		all.sz += r->methods[m].sz;
	}
	return all;
}

static json_t *method_json(const struct pt_send_method *m)
{
	return json_pack("{s:I, s:I, s:I}", "frames", (json_int_t)m->frames,
			 "bytes", (json_int_t)m->raw,
			 "compressed-size", (json_int_t)m->sz);
}

/* is_observed: nothing was compressed, and the methods would have been these. */
static bool is_observed(const struct pt_send_report *r)
{
	return r->observes && r->compression && !strcmp(r->compression, "auto");
}

json_t *pt_report_compression_json(const struct pt_send_report *r)
{
	const struct pt_send_method all = compressed(r);
	json_t *methods = json_object(), *o = method_json(&all);

	for (int m = 0; m < PT_COMPRESSION_CNT; m++)
		json_object_set_new(methods, pt_compression_name(m),
				    method_json(&r->methods[m]));
	json_object_set_new(o, "method", json_string(r->compression
						     ? r->compression : "none"));
	json_object_set_new(o, "compression-rate",
			    json_real(all.sz ? (double)all.raw / all.sz : 0));
	json_object_set_new(o, "switches", json_integer(r->compress_switches));
	json_object_set_new(o, "observed", json_boolean(is_observed(r)));
	json_object_set_new(o, "methods", methods);
	return o;
}

void pt_report_compression_text(FILE *out, const struct pt_send_report *r)
{
	const struct pt_send_method all = compressed(r);
	char memory[16], wire[16];

	if (all.frames)
		fprintf(out, "%s by %s: %s of blocks to %s, in %llu of the "
			"frames.\n", is_observed(r) ? "Would have been compressed"
						    : "Compressed",
			r->compression, pt_out_human(all.raw, memory),
			pt_out_human(all.sz, wire),
			(unsigned long long)all.frames);
}
