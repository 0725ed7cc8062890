/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/leftout.h"

#include <errno.h>
#include <stdio.h>

#include "cli/output.h"

const struct pt_option pt_leftout_options[] = {
	{ "skip-shared", NULL,
	  "with --pid: leave shared memory out; otherwise a process that has "
	  "some is refused",
	  PT_OPTION(FLAG, struct pt_leftout_options, skip_shared) },
	{ "skip-userfault", NULL,
	  "with --pid: pages that a userfaultfd has yet to supply count as "
	  "zero; otherwise a process that has some is refused",
	  PT_OPTION(FLAG, struct pt_leftout_options, skip_userfault) },
	{ }
};

static int refuse_shared(const struct pt_source_left *left,
			 struct pt_error *err)
{
	char sz[16];

	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s of shared memory in "
			    "%u mapping%s, the largest of %s, would be left out "
			    "(--skip-shared allows that; a file or memfd can be "
			    "sent by itself)", pt_out_human(left->shared_sz, sz),
			    left->shared_cnt, left->shared_cnt == 1 ? "" : "s",
			    left->shared_name);
}

static int refuse_userfault(const struct pt_source_left *left,
			    struct pt_error *err)
{
	char sz[16];

	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s in %u mapping%s "
			    "would be taken for zero: a userfaultfd has yet to "
			    "supply them (wait for that, or --skip-userfault)",
			    pt_out_human(left->userfault_sz, sz),
			    left->userfault_cnt,
			    left->userfault_cnt == 1 ? "" : "s");
}

int pt_leftout_check(struct pt_source_left *out, struct pt_source *src,
		  const struct pt_leftout_options *o, struct pt_error *err)
{
	int ret = pt_source_find_left(src, out, err);

	if (ret)
		return ret;
	if (out->shared_sz && !o->skip_shared)
		return refuse_shared(out, err);
	if (out->userfault_sz && !o->skip_userfault)
		return refuse_userfault(out, err);
	return 0;
}

json_t *pt_leftout_json(const struct pt_source_left *left)
{
	json_t *o = json_object();

#define X(field, key, text) \
	json_object_set_new(o, key, json_integer(left->field));
	PT_SOURCE_LEFT(X)
#undef X
	return o;
}

static void part_text(__u64 part_sz, const char *text, const char **between)
{
	char sz[16];

	if (!part_sz)
		return;
	printf("%s%s %s", *between, pt_out_human(part_sz, sz), text);
	*between = ", ";
}

void pt_leftout_text(const struct pt_source_left *left)
{
	const char *between = "Left out: ";

#define X(field, key, text) part_text(left->field, text, &between);
	PT_SOURCE_LEFT(X)
#undef X
	if (between[0] == ',')
		putchar('\n');
}
