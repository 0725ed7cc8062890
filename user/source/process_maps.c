// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/process_maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/source_impl.h"

static int no_memory(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "process %d: no memory to read it", pid);
}

static int map_add(struct pt_process_maps *m, __u64 start, __u64 end,
		   const char *path)
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
	/* Huge pages of a private mapping have a file of their own. */
	all->is_anonymous = path[0] != '/' ||
			    !strncmp(path, "/anon_hugepage", 14);
	pt_segment_set_name(&all->seg, path[0] ? path : "anon");
	all->seg.gfn = start / PT_PAGE_SZ;
	all->seg.sz = end - start;
	return 0;
}

/* is_device: its pages are not memory, and a read may have side effects. */
static bool is_device(const char *path)
{
	return !strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9) &&
	       strcmp(path, "/dev/zero");
}

static int line_take(struct pt_process_maps *m, char *line, pid_t pid,
		     struct pt_error *err)
{
	unsigned long long start, end;
	int path_at = 0;
	char perms[5];

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%llx-%llx %4s %*x %*x:%*x %*u %n", &start, &end, perms,
		   &path_at) != 3 || !path_at)
		return 0;
	if (perms[1] != 'w' || perms[3] != 'p' || is_device(line + path_at))
		return 0;
	if (m->cnt == PT_SEGMENTS_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -E2BIG, "process %d: more "
				    "than %u private writable mappings", pid,
				    PT_SEGMENTS_MAX);
	return map_add(m, start, end, line + path_at) ? no_memory(pid, err) : 0;
}

static int went_away(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_FAILED, -ESRCH, "process %d: it went "
			    "away while it was read", pid);
}

/* The stream has a descriptor of its own, which shares the file's position. */
int pt_process_maps_read(struct pt_process_maps *m, int fd, pid_t pid,
			 struct pt_error *err)
{
	int own = dup(fd), code = 0;
	FILE *in = own < 0 ? NULL : fdopen(own, "r");
	bool is_there = false;
	size_t room = 0;
	char *line = NULL;

	m->cnt = 0;
	if (!in) {
		if (own >= 0)
			close(own);
		return no_memory(pid, err);
	}
	rewind(in);
	while (!code && getline(&line, &room, in) > 0) {
		is_there = true;
		code = line_take(m, line, pid, err);
	}
	if (!code && !is_there)
		code = went_away(pid, err);
	free(line);
	fclose(in);
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
