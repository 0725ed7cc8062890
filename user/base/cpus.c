// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* number reads one from *at on, and moves *at behind it. */
static bool number(const char **at, unsigned long *out)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;	/* strtoul takes signs and blanks, too */
	*out = strtoul(*at, &end, 10);
	*at = end;
	return *out < CPU_SETSIZE;
}

/* range adds one "N" or "N-M". */
static bool range(struct pt_cpus *c, const char **at)
{
	unsigned long first, last;

	if (!number(at, &first))
		return false;
	last = first;
	if (**at == '-') {
		++*at;
		if (!number(at, &last))
			return false;
	}
	if (last < first || last - first >= PT_LANES_MAX - c->cnt)
		return false;
	while (first <= last)
		c->cpus[c->cnt++] = first++;
	return true;
}

/* allowed_text writes the set as a list, "0-1,4", cut where out is full. */
static void allowed_text(const cpu_set_t *set, char *out, size_t sz)
{
	size_t len = 0;

	*out = '\0';
	for (int cpu = 0; cpu < CPU_SETSIZE && len + 12 < sz; cpu++) {
		int last = cpu;

		if (!CPU_ISSET(cpu, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		len += snprintf(out + len, sz - len, "%s%d", len ? "," : "",
				cpu);
		if (last > cpu)
			len += snprintf(out + len, sz - len, "-%d", last);
		cpu = last;
	}
}

static int check_allowed(const struct pt_cpus *c, struct pt_error *err)
{
	char text[128];
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;	/* nothing is known: pinning will show */
	for (__u32 i = 0; i < c->cnt; i++) {
		if (CPU_ISSET(c->cpus[i], &set))
			continue;
		allowed_text(&set, text, sizeof(text));
		return pt_error_set(err, PT_EXIT_USAGE, -ENODEV,
				    "CPU %u: this process may not run there; "
				    "%s works", c->cpus[i], text);
	}
	return 0;
}

int pt_cpus_parse(struct pt_cpus *out, const char *list, struct pt_error *err)
{
	struct pt_cpus c = { 0 };
	const char *at = list;

	do {
		if (!range(&c, &at))
			break;
		if (!*at) {
			int ret = check_allowed(&c, err);

			if (!ret)
				*out = c;
			return ret;
		}
	} while (*at++ == ',');
	return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "want CPU numbers and "
			    "ranges, as 0,2-3, at most %u CPUs", PT_LANES_MAX);
}

void pt_cpus_pin(const struct pt_cpus *cpus, __u32 idx)
{
	cpu_set_t set;

	if (!cpus || !cpus->cnt)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpus->cpus[idx % cpus->cnt], &set);
	sched_setaffinity(0, sizeof(set), &set);
}
