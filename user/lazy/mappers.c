// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/mappers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "memory/mappings.h"
#include "memory/processes.h"

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

static bool is_in(const struct pt_mapping *m, const struct pt_lazy_region *r)
{
	return m->start < r->addr + r->sz && r->addr < m->end;
}

static bool begins_in(const struct pt_mapping *m, const struct pt_lazy_region *r)
{
	return r->addr >= m->start && r->addr < m->end;
}

static bool is_of_regions(const struct look *l, const struct pt_mapping *m)
{
	for (__u32 i = 0; i < l->region_cnt; i++)
		if (is_in(m, &l->regions[i]))
			return true;
	return false;
}

/* ---- the VMM's own ---- */

/* piece_add adds what a mapping has of a region. */
static bool piece_add(struct look *l, const struct pt_mapping *m,
		      const struct pt_lazy_region *r)
{
	__u64 from = m->start > r->addr ? m->start : r->addr;
	__u64 upto = m->end < r->addr + r->sz ? m->end : r->addr + r->sz;
	struct piece *more = realloc(l->pieces, (l->cnt + 1) * sizeof(*more));

	if (!more)
		return false;
	l->pieces = more;
	more[l->cnt++] = (struct piece){
		.dev = m->dev, .ino = m->ino,
		.off = m->off + from - m->start,
		.end = m->off + upto - m->start,
	};
	return true;
}

/* pieces_add adds what a mapping has of all regions. */
static bool pieces_add(struct look *l, const struct pt_mapping *m)
{
	bool is_good = true;

	for (__u32 i = 0; i < l->region_cnt && m->ino && is_good; i++)
		if (is_in(m, &l->regions[i]))
			is_good = piece_add(l, m, &l->regions[i]);
	return is_good;
}

/* is_registered reads the line of a mapping's flags: um, ui and uw are those of a
 * userfaultfd. */
static bool is_registered(const char *text)
{
	return strstr(text, " um") || strstr(text, " ui") || strstr(text, " uw");
}

static int own_take(void *arg, const struct pt_mapping *m, const char *line)
{
	struct look *l = arg;

	if (strncmp(line, "VmFlags:", 8))
		return 0;
	for (__u32 i = 0; i < l->region_cnt; i++)
		l->owned_cnt += begins_in(m, &l->regions[i]) && is_registered(line);
	return pieces_add(l, m) ? 0 : -ENOMEM;
}

static int own_look(struct look *l, struct pt_lazy_sight *sight)
{
	int smaps = l->vmm > 0 ? pt_smaps_open(l->vmm) : -ESRCH, code;

	if (smaps < 0)
		return 0;
	code = pt_smaps_each(smaps, own_take, l);
	sight->is_seen = true;
	sight->is_owner = l->owned_cnt == l->region_cnt;
	sight->is_file = l->cnt;
	close(smaps);
	return code == -ENOMEM ? code : 0;
}

/* ---- all others ---- */

struct other {
	const struct look *look;
	pid_t pid;
};

/* is_other: the mapping has bytes of a piece, and is none of the VMM's regions. */
static int is_other(void *arg, const struct pt_mapping *m)
{
	__u64 end = m->off + (m->end - m->start);
	const struct other *o = arg;
	const struct look *l = o->look;

	for (__u32 i = 0; i < l->cnt; i++) {
		const struct piece *p = &l->pieces[i];

		if (m->ino == p->ino && m->dev == p->dev && m->off < p->end &&
		    p->off < end)
			return o->pid != l->vmm || !is_of_regions(l, m);
	}
	return 0;
}

/* maps_it looks at a process; *is_seen: it could, or the process has ended. */
static bool maps_it(const struct look *l, pid_t pid, bool *is_seen)
{
	struct other o = { l, pid };
	int maps = pt_mappings_open(pid);
	bool is;

	*is_seen = maps >= 0 || maps == -ENOENT || maps == -ESRCH;
	if (maps < 0)
		return false;
	is = pt_mappings_each(maps, is_other, &o) == 1;
	close(maps);
	return is;
}

static void name_other(struct pt_lazy_sight *sight)
{
	char path[32], text[16] = "";
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/comm", sight->other);
	in = fopen(path, "re");
	if (in && fgets(text, sizeof(text), in))
		text[strcspn(text, "\n")] = '\0';
	if (in)
		fclose(in);
	pt_text_clean(sight->other_name, sizeof(sight->other_name), text);
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
	sight->other = found;
	name_other(sight);
	return pt_error_set(err, PT_EXIT_PEER, -EBUSY, "the guest's memory is mapped "
			    "by process %d (%s)%s, where it would read zeroes (serve "
			    "memory that only the VMM maps, once)", found,
			    sight->other_name, found == l->vmm ? " a second time" : ", too");
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
