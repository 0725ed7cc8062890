/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "vmm/maps.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool line_read(const char *line, struct pt_map *m)
{
	unsigned long long start, end, off, ino;
	unsigned int major, minor;
	char perms[5];
	int at = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end,
		   perms, &off, &major, &minor, &ino, &at) != 7 || !at)
		return false;
	*m = (struct pt_map){
		.addr = start, .sz = end - start, .piece_end = end, .off = off,
		.dev = (__u64)major << 32 | minor, .ino = ino,
	};
	snprintf(m->name, sizeof(m->name), "%.*s",
		 (int)strcspn(line + at, "\n"), line + at);
	return perms[1] == 'w' && perms[3] == 's';
}

static bool goes_on(const struct pt_map *m, const struct pt_map *next)
{
	return m->addr + m->sz == next->addr && m->off + m->sz == next->off &&
	       m->dev == next->dev && m->ino == next->ino;
}

/* add appends m to the table, or to its last row. */
static int add(struct pt_map **maps, __u32 *cnt, const struct pt_map *m)
{
	struct pt_map *more;

	if (*cnt && goes_on(&(*maps)[*cnt - 1], m)) {
		(*maps)[*cnt - 1].sz += m->sz;
		return 0;
	}
	if (*cnt == PT_MAPS_MAX)
		return -E2BIG;
	if (!(*cnt & (*cnt - 1))) {	/* 0 and powers of two: it is full */
		more = realloc(*maps, (*cnt ? 2 * *cnt : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		*maps = more;
	}
	(*maps)[(*cnt)++] = *m;
	return 0;
}

int pt_maps_read(pid_t pid, struct pt_map **out, __u32 *cnt)
{
	struct pt_map *maps = NULL, m;
	char path[64], *line = NULL;
	size_t line_sz = 0;
	FILE *in;
	int code = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	in = fopen(path, "re");
	if (!in)
		return errno == ENOENT ? -ESRCH : -errno;
	*cnt = 0;
	while (!code && getline(&line, &line_sz, in) > 0)
		if (line_read(line, &m))
			code = add(&maps, cnt, &m);
	if (!code && ferror(in))
		code = -EACCES;
	free(line);
	fclose(in);
	if (code) {
		free(maps);
		return code;
	}
	*out = maps;
	return 0;
}
