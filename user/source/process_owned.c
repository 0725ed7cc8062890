// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/process_owned.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory/mappings.h"

static int start_add(struct pt_process_owned *o, __u64 start)
{
	__u32 capacity = o->capacity ? 2 * o->capacity : 64;
	__u64 *starts;

	if (o->cnt && o->starts[o->cnt - 1] == start)
		return 0;
	if (o->cnt == o->capacity) {
		starts = reallocarray(o->starts, capacity, sizeof(*starts));
		if (!starts)
			return -ENOMEM;
		o->starts = starts;
		o->capacity = capacity;
	}
	o->starts[o->cnt++] = start;
	return 0;
}

/* counts_own: a line of a count of pages of the process's own that is not 0. */
static bool counts_own(const char *line)
{
	unsigned long long kib;

	return (sscanf(line, "Anonymous: %llu", &kib) == 1 ||
		sscanf(line, "Swap: %llu", &kib) == 1 ||
		sscanf(line, "Private_Hugetlb: %llu", &kib) == 1) && kib;
}

static int line_take(void *arg, const struct pt_mapping *m, const char *line)
{
	return counts_own(line) ? start_add(arg, m->start) : 0;
}

static int start_cmp(const void *a, const void *b)
{
	__u64 left = *(const __u64 *)a, right = *(const __u64 *)b;

	return (left > right) - (left < right);
}

bool pt_process_owned_has(struct pt_process_owned *o, int smaps, __u64 start)
{
	if (!o->is_read)
		o->code = pt_smaps_each(smaps, line_take, o);
	o->is_read = true;
	return o->cnt && bsearch(&start, o->starts, o->cnt,
				 sizeof(o->starts[0]), start_cmp);
}

void pt_process_owned_free(struct pt_process_owned *o)
{
	free(o->starts);
	*o = (struct pt_process_owned){ 0 };
}
