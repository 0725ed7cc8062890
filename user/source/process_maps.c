// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/process_maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/mappings.h"
#include "memory/pagemap.h"
#include "source/process_owned.h"
#include "source/source_impl.h"

static int no_memory(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "process %d: no memory to read it", pid);
}

/* is_of_memory: no file, or the huge pages' own. */
static bool is_of_memory(const struct pt_mapping *m)
{
	return m->path[0] != '/' ||
	       !strncmp(m->path, "/anon_hugepage", 14);
}

/* is_kernels: [vdso], [vvar] and their like.  The kernel names three more kinds, which
 * are the process's. */
static bool is_kernels(const struct pt_mapping *m)
{
	return m->path[0] == '[' && strcmp(m->path, "[heap]") &&
	       strncmp(m->path, "[stack", 6) &&
	       strncmp(m->path, "[anon:", 6);
}

/* reading: one pass over the mappings of a process; before: those of the last. */
struct reading {
	struct pt_process_maps *m;
	const struct pt_process_maps *before;
	const struct pt_process_files *files;
	struct pt_process_owned *owned;
	pid_t pid;
	struct pt_error *err;
	int code;		/* of err */
};

static bool has_own(const struct reading *r, const struct pt_mapping *m)
{
	int has = pt_pagemap_has_own(r->files->pagemap, m->start, m->end);

	return has < 0 ? pt_process_owned_has(r->owned, r->files->smaps,
					      m->start) : has;
}

/* is_own: the memory is the process's own.  A mapping may have been written before it
 * lost the right: as a JIT compiler makes code, or a loader constants.  Its file may
 * not be there any more. */
static bool is_own(const struct reading *r, const struct pt_mapping *m)
{
	if (m->is_shared || m->is_writable)
		return !m->is_shared;
	return !is_kernels(m) &&
	       (pt_mapping_is_deleted(m) ||
		has_own(r, m));
}

/* content_sz returns how much of the mapping the file, of sz bytes, fills. */
static __u64 content_sz(const struct pt_mapping *m, __u64 sz)
{
	__u64 whole = (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ * PT_PAGE_SZ;
	__u64 max = m->end - m->start;

	if (whole <= m->off)
		return 0;
	return whole - m->off < max ? whole - m->off : max;
}

/* was_memory: a mapping of the same file was there, and was found to be memory. */
static bool was_memory(const struct pt_process_maps *before,
		       const struct pt_mapping *m)
{
	__u32 i = pt_process_maps_find(before, m->start / PT_PAGE_SZ);

	return i < before->cnt && before->all[i].ino == m->ino &&
	       before->all[i].seg.gfn < m->end / PT_PAGE_SZ;
}

/* map_judge completes map; false: the mapping is no memory, and a read of a
 * device may have side effects. */
static bool map_judge(struct pt_process_map *map, const struct reading *r,
		      const struct pt_mapping *m)
{
	struct stat st;

	map->is_anonymous = is_of_memory(m);
	map->content_sz = m->end - m->start;
	map->ino = m->ino;
	if (map->is_anonymous)
		return true;
	if (!pt_mapping_stat(m, r->pid, &st))
		return !pt_mapping_is_device(m) ||
		       was_memory(r->before, m);
	if (S_ISREG(st.st_mode))
		map->content_sz = content_sz(m, st.st_size);
	/* A private mapping of /dev/zero is anonymous memory. */
	map->is_anonymous = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 5);
	return S_ISREG(st.st_mode) || map->is_anonymous;
}

static int map_add(struct pt_process_maps *m, const struct pt_mapping *from,
		   const struct pt_process_map *map)
{
	__u32 capacity = m->capacity ? 2 * m->capacity : 64;
	struct pt_process_map *all;

	if (m->cnt == m->capacity) {
		all = reallocarray(m->all, capacity, sizeof(*all));
		if (!all)
			return -ENOMEM;
		m->all = all;
		m->capacity = capacity;
	}
	all = &m->all[m->cnt++];
	*all = *map;
	pt_segment_set_name(&all->seg, from->path[0] ? from->path : "anon");
	all->seg.gfn = from->start / PT_PAGE_SZ;
	all->seg.sz = from->end - from->start;
	return 0;
}

static int mapping_take(void *arg, const struct pt_mapping *m)
{
	struct pt_process_map map = { 0 };
	struct reading *r = arg;

	if (!is_own(r, m) || !map_judge(&map, r, m))
		return 0;
	if (r->m->cnt == PT_SEGMENTS_MAX)
		r->code = pt_error_set(r->err, PT_EXIT_HOST, -E2BIG, "process %d: "
				       "more than %u mappings of private memory",
				       r->pid, PT_SEGMENTS_MAX);
	else if (map_add(r->m, m, &map))
		r->code = no_memory(r->pid, r->err);
	return r->code;
}

static int went_away(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_FAILED, -ESRCH, "process %d: it went "
			    "away while it was read", pid);
}

static int no_look(pid_t pid, int code, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "process %d: cannot look at "
			    "its mappings: %s%s", pid, strerror(-code),
			    pt_files_remedy(code));
}

int pt_process_maps_read(struct pt_process_maps *m,
			 const struct pt_process_files *files, pid_t pid,
			 struct pt_error *err)
{
	struct pt_process_maps before = *m;
	struct pt_process_owned owned = { 0 };
	struct reading r = {
		.m = m, .before = &before, .files = files, .owned = &owned,
		.pid = pid, .err = err,
	};
	int code;

	*m = (struct pt_process_maps){ 0 };
	code = pt_mappings_each(files->maps, mapping_take, &r);
	if (code == -ESRCH)
		code = went_away(pid, err);
	else if (code && !r.code)
		code = no_look(pid, code, err);
	if (!code && owned.code)
		code = no_look(pid, owned.code, err);
	pt_process_owned_free(&owned);
	pt_process_maps_free(&before);
	return code;
}

void pt_process_maps_free(struct pt_process_maps *m)
{
	free(m->all);
	*m = (struct pt_process_maps){ 0 };
}

__u32 pt_process_maps_find(const struct pt_process_maps *m, __u64 gfn)
{
	__u32 first = 0, end = m->cnt;

	while (first < end) {
		__u32 i = first + (end - first) / 2;
		const struct pt_segment *seg = &m->all[i].seg;

		if (seg->gfn + seg->sz / PT_PAGE_SZ > gfn)
			end = i;
		else
			first = i + 1;
	}
	return first;
}
