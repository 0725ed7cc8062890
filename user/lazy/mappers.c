// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/mappers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/processes.h"
#include "source/process_maps.h"

/* piece: bytes of a file in a region. */
struct piece {
	__u64 dev, ino;
	__u64 off, end;		/* bytes */
};

struct look {
	const struct pt_lazy_region *regions;
	__u32 region_cnt;
	pid_t vmm;
	struct piece *pieces;
	__u32 cnt;
	__u32 owned_cnt;	/* regions that begin in a registered mapping */
};

static bool is_in(const struct pt_maps_line *line, const struct pt_lazy_region *r)
{
	return line->start < r->addr + r->sz && r->addr < line->end;
}

static bool begins_in(const struct pt_maps_line *line, const struct pt_lazy_region *r)
{
	return r->addr >= line->start && r->addr < line->end;
}

static bool is_of_regions(const struct look *l, const struct pt_maps_line *line)
{
	for (__u32 i = 0; i < l->region_cnt; i++)
		if (is_in(line, &l->regions[i]))
			return true;
	return false;
}

/* ---- the VMM's own ---- */

/* piece_add adds what a mapping has of a region. */
static bool piece_add(struct look *l, const struct pt_maps_line *line,
		      const struct pt_lazy_region *r)
{
	__u64 from = line->start > r->addr ? line->start : r->addr;
	__u64 upto = line->end < r->addr + r->sz ? line->end : r->addr + r->sz;
	struct piece *more = realloc(l->pieces, (l->cnt + 1) * sizeof(*more));

	if (!more)
		return false;
	l->pieces = more;
	more[l->cnt++] = (struct piece){
		.dev = line->dev, .ino = line->ino,
		.off = line->off + from - line->start,
		.end = line->off + upto - line->start,
	};
	return true;
}

/* pieces_add adds what a mapping has of all regions. */
static bool pieces_add(struct look *l, const struct pt_maps_line *line)
{
	bool is_good = true;

	for (__u32 i = 0; i < l->region_cnt && line->ino && is_good; i++)
		if (is_in(line, &l->regions[i]))
			is_good = piece_add(l, line, &l->regions[i]);
	return is_good;
}

/* is_registered reads the line of a mapping's flags: um, ui and uw are those of a
 * userfaultfd. */
static bool is_registered(const char *text)
{
	return strstr(text, " um") || strstr(text, " ui") || strstr(text, " uw");
}

/* own_read reads /proc/PID/smaps: -ENOMEM. */
static int own_read(struct look *l, FILE *in)
{
	struct pt_maps_line line = { .start = 0 }, next;
	char *text = NULL;
	size_t room = 0;
	int code = 0;

	while (!code && getline(&text, &room, in) > 0) {
		if (!strncmp(text, "VmFlags:", 8)) {
			for (__u32 i = 0; i < l->region_cnt; i++)
				l->owned_cnt += begins_in(&line, &l->regions[i]) &&
						is_registered(text);
		} else if (pt_maps_line_parse(&next, text)) {
			line = next;
			code = pieces_add(l, &line) ? 0 : -ENOMEM;
		}
	}
	free(text);
	return code;
}

static int own_look(struct look *l, struct pt_lazy_sight *sight)
{
	char path[32];
	FILE *in;
	int code;

	snprintf(path, sizeof(path), "/proc/%d/smaps", l->vmm);
	in = l->vmm > 0 ? fopen(path, "re") : NULL;
	if (!in)
		return 0;
	code = own_read(l, in);
	sight->is_seen = true;
	sight->is_owner = l->owned_cnt == l->region_cnt;
	sight->is_file = l->cnt;
	fclose(in);
	return code;
}

/* ---- all others ---- */

/* is_other: the mapping has bytes of a piece, and is none of the VMM's regions. */
static bool is_other(const struct look *l, const struct pt_maps_line *line, pid_t pid)
{
	__u64 end = line->off + (line->end - line->start);

	for (__u32 i = 0; i < l->cnt; i++) {
		const struct piece *p = &l->pieces[i];

		if (line->ino == p->ino && line->dev == p->dev && line->off < p->end &&
		    p->off < end)
			return pid != l->vmm || !is_of_regions(l, line);
	}
	return false;
}

/* maps_it looks at a process; *is_seen: it could, or the process has ended. */
static bool maps_it(const struct look *l, pid_t pid, bool *is_seen)
{
	char path[32], *text = NULL;
	struct pt_maps_line line;
	bool is = false;
	size_t room = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	in = fopen(path, "re");
	*is_seen = in || errno == ENOENT || errno == ESRCH;
	while (in && !is && getline(&text, &room, in) > 0)
		is = pt_maps_line_parse(&line, text) && is_other(l, &line, pid);
	free(text);
	if (in)
		fclose(in);
	return is;
}

static int others_look(const struct look *l, struct pt_lazy_sight *sight,
		       struct pt_error *err)
{
	struct pt_processes all = { 0 };
	pid_t pid, found = 0;
	int code = pt_processes_open(&all, err);
	bool is_seen;

	if (code)
		return code;
	while (!found && (pid = pt_processes_next(&all)) > 0) {
		if (maps_it(l, pid, &is_seen))
			found = pid;
		sight->unseen_cnt += !is_seen;
	}
	if (!found && !pt_processes_are_all(&all))
		sight->unseen_cnt++;
	pt_processes_close(&all);
	if (!found)
		return 0;
	return pt_error_set(err, PT_EXIT_PEER, -EBUSY, "the guest's memory is mapped "
			    "by process %d%s, where it would read zeroes (serve "
			    "memory that only the VMM maps, once)", found,
			    found == l->vmm ? " a second time" : ", too");
}

int pt_lazy_mappers_look(struct pt_lazy_sight *sight, pid_t vmm,
			 const struct pt_lazy_region *regions, __u32 cnt,
			 struct pt_error *err)
{
	struct look l = { .regions = regions, .region_cnt = cnt, .vmm = vmm };
	int code;

	*sight = (struct pt_lazy_sight){ .is_seen = false };
	code = own_look(&l, sight);
	if (code)
		pt_error_set(err, PT_EXIT_HOST, code, "no memory to look at the VMM's "
			     "mappings");
	else if (l.cnt)
		code = others_look(&l, sight, err);
	free(l.pieces);
	return code;
}
