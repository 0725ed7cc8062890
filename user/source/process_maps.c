// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/process_maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/pagemap.h"
#include "source/process_owned.h"
#include "source/source_impl.h"

static int no_memory(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "process %d: no memory to read it", pid);
}

bool pt_maps_line_parse(struct pt_maps_line *out, char *text)
{
	unsigned long long start, end, off, ino;
	unsigned int major, minor;
	int path_at = 0;
	char perms[5];

	text[strcspn(text, "\n")] = '\0';
	if (sscanf(text, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end,
		   perms, &off, &major, &minor, &ino, &path_at) != 7 || !path_at)
		return false;
	*out = (struct pt_maps_line){
		.start = start, .end = end, .off = off, .ino = ino,
		.dev = (__u64)major << 32 | minor,
		.is_writable = perms[1] == 'w', .is_private = perms[3] == 'p',
		.path = text + path_at,
	};
	return true;
}

/* is_of_memory: no file, or the huge pages' own. */
static bool is_of_memory(const struct pt_maps_line *line)
{
	return line->path[0] != '/' ||
	       !strncmp(line->path, "/anon_hugepage", 14);
}

/* The link in map_files leads to the file whatever its name is now, and takes
 * CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN to follow. */
bool pt_maps_line_file(const struct pt_maps_line *line, pid_t pid,
		       struct stat *st)
{
	char link[96];

	snprintf(link, sizeof(link), "/proc/%d/map_files/%llx-%llx", pid,
		 line->start, line->end);
	return !stat(link, st) ||
	       (!stat(line->path, st) && st->st_ino == line->ino);
}

bool pt_maps_line_is_device(const struct pt_maps_line *line)
{
	return !strncmp(line->path, "/dev/", 5) &&
	       strncmp(line->path, "/dev/shm/", 9) &&
	       strncmp(line->path, "/dev/zero", 9);
}

bool pt_maps_line_is_deleted(const struct pt_maps_line *line)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(line->path), mark_len = sizeof(mark) - 1;

	return line->path[0] == '/' && len > mark_len &&
	       !strcmp(line->path + len - mark_len, mark);
}

/* is_kernels: [vdso], [vvar] and their like.  The kernel names three more kinds, which
 * are the process's. */
static bool is_kernels(const struct pt_maps_line *line)
{
	return line->path[0] == '[' && strcmp(line->path, "[heap]") &&
	       strncmp(line->path, "[stack", 6) &&
	       strncmp(line->path, "[anon:", 6);
}

/* reading: one pass over the mappings of a process; before: those of the last. */
struct reading {
	struct pt_process_maps *m;
	const struct pt_process_maps *before;
	const struct pt_process_files *files;
	struct pt_process_owned *owned;
	pid_t pid;
	struct pt_error *err;
};

static bool has_own(const struct reading *r, const struct pt_maps_line *line)
{
	int has = pt_pagemap_has_own(r->files->pagemap, line->start, line->end);

	return has < 0 ? pt_process_owned_has(r->owned, r->files->smaps,
					      line->start) : has;
}

/* is_own: the memory is the process's own.  A mapping may have been written before it
 * lost the right: as a JIT compiler makes code, or a loader constants.  Its file may
 * not be there any more. */
static bool is_own(const struct reading *r, const struct pt_maps_line *line)
{
	if (!line->is_private || line->is_writable)
		return line->is_private;
	return !is_kernels(line) &&
	       (pt_maps_line_is_deleted(line) ||
		has_own(r, line));
}

/* content_sz returns how much of the mapping the file, of sz bytes, fills. */
static __u64 content_sz(const struct pt_maps_line *line, __u64 sz)
{
	__u64 whole = (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ * PT_PAGE_SZ;
	__u64 max = line->end - line->start;

	if (whole <= line->off)
		return 0;
	return whole - line->off < max ? whole - line->off : max;
}

/* was_memory: a mapping of the same file was there, and was found to be memory. */
static bool was_memory(const struct pt_process_maps *before,
		       const struct pt_maps_line *line)
{
	__u32 i = pt_process_maps_find(before, line->start / PT_PAGE_SZ);

	return i < before->cnt && before->all[i].ino == line->ino &&
	       before->all[i].seg.gfn < line->end / PT_PAGE_SZ;
}

/* map_judge completes map; false: the mapping is no memory, and a read of a
 * device may have side effects. */
static bool map_judge(struct pt_process_map *map, const struct reading *r,
		      const struct pt_maps_line *line)
{
	struct stat st;

	map->is_anonymous = is_of_memory(line);
	map->content_sz = line->end - line->start;
	map->ino = line->ino;
	if (map->is_anonymous)
		return true;
	if (!pt_maps_line_file(line, r->pid, &st))
		return !pt_maps_line_is_device(line) ||
		       was_memory(r->before, line);
	if (S_ISREG(st.st_mode))
		map->content_sz = content_sz(line, st.st_size);
	/* A private mapping of /dev/zero is anonymous memory. */
	map->is_anonymous = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 5);
	return S_ISREG(st.st_mode) || map->is_anonymous;
}

static int map_add(struct pt_process_maps *m, const struct pt_maps_line *line,
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
	pt_segment_set_name(&all->seg, line->path[0] ? line->path : "anon");
	all->seg.gfn = line->start / PT_PAGE_SZ;
	all->seg.sz = line->end - line->start;
	return 0;
}

static int line_take(const struct reading *r, char *text)
{
	struct pt_process_map map = { 0 };
	struct pt_maps_line line;

	if (!pt_maps_line_parse(&line, text) || !is_own(r, &line) ||
	    !map_judge(&map, r, &line))
		return 0;
	if (r->m->cnt == PT_SEGMENTS_MAX)
		return pt_error_set(r->err, PT_EXIT_HOST, -E2BIG, "process %d: "
				    "more than %u mappings of private memory",
				    r->pid, PT_SEGMENTS_MAX);
	return map_add(r->m, &line, &map) ? no_memory(r->pid, r->err) : 0;
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

/* The stream has a descriptor of its own, which shares the file's position. */
int pt_process_maps_read(struct pt_process_maps *m,
			 const struct pt_process_files *files, pid_t pid,
			 struct pt_error *err)
{
	int own = dup(files->maps), code = 0;
	FILE *in = own < 0 ? NULL : fdopen(own, "r");
	struct pt_process_maps before = *m;
	struct pt_process_owned owned = { 0 };
	const struct reading r = {
		.m = m, .before = &before, .files = files, .owned = &owned,
		.pid = pid, .err = err,
	};
	bool is_there = false;
	size_t room = 0;
	char *line = NULL;

	if (!in) {
		code = -errno;
		if (own >= 0)
			close(own);
		return no_look(pid, code, err);
	}
	*m = (struct pt_process_maps){ 0 };
	rewind(in);
	while (!code && getline(&line, &room, in) > 0) {
		is_there = true;
		code = line_take(&r, line);
	}
	if (!code && !is_there)
		code = went_away(pid, err);
	if (!code && owned.code)
		code = no_look(pid, owned.code, err);
	pt_process_owned_free(&owned);
	free(line);
	fclose(in);
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
