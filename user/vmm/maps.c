/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "vmm/maps.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/mappings.h"

static bool goes_on(const struct pt_map *m, const struct pt_map *next)
{
	return m->addr + m->sz == next->addr && m->off + m->sz == next->off &&
	       m->dev == next->dev && m->ino == next->ino;
}

struct table {
	struct pt_map *all;
	__u32 cnt;
};

/* row_add appends a mapping to the table, or to its last row. */
static int row_add(struct table *t, const struct pt_map *row)
{
	struct pt_map *more;

	if (t->cnt && goes_on(&t->all[t->cnt - 1], row)) {
		t->all[t->cnt - 1].sz += row->sz;
		return 0;
	}
	if (t->cnt == PT_MAPS_MAX)
		return -E2BIG;
	if (!(t->cnt & (t->cnt - 1))) {	/* 0 and powers of two: it is full */
		more = realloc(t->all, (t->cnt ? 2 * t->cnt : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->all = more;
	}
	t->all[t->cnt++] = *row;
	return 0;
}

static int mapping_take(void *arg, const struct pt_mapping *m)
{
	struct pt_map row = {
		.addr = m->start, .sz = m->end - m->start, .piece_end = m->end,
		.off = m->off, .dev = m->dev, .ino = m->ino,
	};

	if (!m->is_writable || !m->is_shared)
		return 0;
	snprintf(row.name, sizeof(row.name), "%s", m->path);
	return row_add(arg, &row);
}

int pt_maps_read(pid_t pid, struct pt_map **out, __u32 *cnt)
{
	struct table t = { .cnt = 0 };
	int maps = pt_mappings_open(pid), code;

	if (maps < 0)
		return maps == -ENOENT ? -ESRCH : maps;
	code = pt_mappings_each(maps, mapping_take, &t);
	close(maps);
	if (code) {
		free(t.all);
		return code;
	}
	*out = t.all;
	*cnt = t.cnt;
	return 0;
}
