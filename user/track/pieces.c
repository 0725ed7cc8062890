// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which mappings show the memory. */
#include "track/watched.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pagetrim/wire.h>

int pt_pieces_add(struct pt_pieces *to, const struct pt_piece_wp *piece)
{
	__u32 capacity = to->capacity ? 2 * to->capacity : 8;
	struct pt_piece_wp *all;

	if (to->cnt == to->capacity) {
		all = reallocarray(to->all, capacity, sizeof(*all));
		if (!all)
			return -ENOMEM;
		to->all = all;
		to->capacity = capacity;
	}
	to->all[to->cnt++] = *piece;
	return 0;
}

static int no_memory(struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "no memory for the mappings of a process");
}

/* --- the ranges of the target ----------------------------------------- */

struct covering {
	struct pt_pieces *out;
	const struct pt_track_range *range;
	__u64 upto;		/* address up to which it is covered */
};

/* cover adds the part of the range that the mapping covers. */
static int cover(void *arg, const struct pt_mapping *m)
{
	struct covering *c = arg;
	__u64 end = c->range->addr + c->range->sz;
	struct pt_piece_wp piece = { .at = *m };

	if (c->upto < m->start || c->upto >= m->end || !m->is_writable)
		return 0;
	piece.at.start = c->upto;
	piece.at.end = end < m->end ? end : m->end;
	piece.at.off += c->upto - m->start;
	piece.page_idx = c->range->page_idx +
			 (c->upto - c->range->addr) / PT_PAGE_SZ;
	c->upto = piece.at.end;
	return pt_pieces_add(c->out, &piece) ? -ENOMEM : c->upto == end;
}

int pt_pieces_of(struct pt_pieces *out, const struct pt_watched *p,
		 const struct pt_track_range *ranges, __u32 cnt,
		 struct pt_error *err)
{
	for (__u32 i = 0; i < cnt; i++) {
		const struct pt_track_range *r = &ranges[i];
		struct covering c = { .out = out, .range = r, .upto = r->addr };
		int code;

		if (!r->sz || (r->addr | r->sz) % PT_PAGE_SZ ||
		    r->addr + r->sz < r->addr)
			return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
					    "range %u: its bytes are no pages",
					    i);
		code = pt_mappings_each(p->maps, cover, &c);
		if (code == -ENOMEM)
			return no_memory(err);
		if (code < 0)
			return pt_error_set(err, PT_EXIT_HOST, code,
					    "process %d: its mappings: %s",
					    p->pid, strerror(-code));
		if (!code)
			return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
					    "process %d: nothing is mapped at "
					    "0x%llx that it can write", p->pid,
					    c.upto);
	}
	return 0;
}

/* --- the same files elsewhere ----------------------------------------- */

struct sharing {
	const struct pt_pieces *of;
	struct pt_pieces *out;
};

/* share adds the parts of the mapping that show a piece's bytes of its file. */
static int share(void *arg, const struct pt_mapping *m)
{
	const struct sharing *s = arg;

	if (!m->is_shared || !m->is_writable)
		return 0;
	for (__u32 i = 0; i < s->of->cnt; i++) {
		const struct pt_piece_wp *of = &s->of->all[i];
		struct pt_piece_wp piece = { .at = *m, .may_go = true };
		__u64 first = of->at.off, end;

		if (of->may_go || !of->at.is_shared ||
		    !pt_mapping_is_of(m, &of->at))
			continue;
		end = first + (of->at.end - of->at.start);
		first = first > m->off ? first : m->off;
		if (end > m->off + (m->end - m->start))
			end = m->off + (m->end - m->start);
		if (first >= end)
			continue;
		piece.at.start = m->start + (first - m->off);
		piece.at.end = m->start + (end - m->off);
		piece.at.off = first;
		piece.page_idx = of->page_idx + (first - of->at.off) /
						PT_PAGE_SZ;
		if (pt_pieces_add(s->out, &piece))
			return -ENOMEM;
	}
	return 0;
}

int pt_pieces_shared(struct pt_pieces *out, const struct pt_pieces *of,
		     pid_t pid, struct pt_error *err)
{
	struct sharing s = { .of = of, .out = out };
	int maps = pt_mappings_open(pid), code;

	if (maps == -ENOENT || maps == -ESRCH)
		return 0;
	if (maps == -EPERM || maps == -EACCES)
		return -EACCES;
	if (maps < 0)
		return pt_error_set(err, PT_EXIT_HOST, maps, "process %d: its "
				    "mappings: %s", pid, strerror(-maps));
	code = pt_mappings_each(maps, share, &s);
	close(maps);
	return code == -ENOMEM ? no_memory(err) : 0;
}

bool pt_same_memory(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0;
}

/* --- all processes ---------------------------------------------------- */

int pt_processes_open(struct pt_processes *all, struct pt_error *err)
{
	all->dir = opendir("/proc");
	return all->dir ? 0 : pt_error_set(err, PT_EXIT_HOST, -errno,
					   "/proc: %s", strerror(errno));
}

pid_t pt_processes_next(struct pt_processes *all)
{
	const struct dirent *entry;

	while ((entry = readdir(all->dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			return strtol(entry->d_name, NULL, 10);
	return 0;
}

void pt_processes_close(struct pt_processes *all)
{
	if (all->dir)
		closedir(all->dir);
}
