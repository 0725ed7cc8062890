// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Newer than the headers of Linux 6.1. */
struct map_query {
	__u64 size, flags, addr;
	__u64 start, end, vma_flags, page_size, off, ino;
	__u32 dev_major, dev_minor, name_sz, build_id_sz;
	__u64 name, build_id;
};

#define MAP_QUERY	_IOWR('f', 17, struct map_query)
#define QUERY_WRITABLE	(0x2 | 0x10 | 0x20)	/* at the address or next, a file */
#define QUERY_SHARED	0x8

/* The name of large anonymous pages, which have an inode. */
#define HUGE_NAME	"/anon_hugepage"

#define CHUNK 16384	/* the longest line, with a path of 4 KiB, is less */

/* ---- one mapping ---- */

void pt_mapping_link(char link[PT_MAPPING_LINK_SZ], const struct pt_mapping *m,
		     pid_t pid)
{
	snprintf(link, PT_MAPPING_LINK_SZ, "/proc/%d/map_files/%llx-%llx", pid,
		 m->start, m->end);
}

bool pt_mapping_stat(const struct pt_mapping *m, pid_t pid, struct stat *st)
{
	char link[PT_MAPPING_LINK_SZ];

	pt_mapping_link(link, m, pid);
	return !stat(link, st) ||
	       (m->path && !stat(m->path, st) && st->st_ino == m->ino);
}

bool pt_mapping_is_device(const struct pt_mapping *m)
{
	return !strncmp(m->path, "/dev/", 5) &&
	       strncmp(m->path, "/dev/shm/", 9) &&
	       strncmp(m->path, "/dev/zero", 9);
}

bool pt_mapping_is_deleted(const struct pt_mapping *m)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(m->path), mark_len = sizeof(mark) - 1;

	return m->path[0] == '/' && len > mark_len &&
	       !strcmp(m->path + len - mark_len, mark);
}

static bool line_read(const char *line, struct pt_mapping *m)
{
	unsigned long long start, end, off, ino;
	unsigned int major, minor;
	char perms[5];
	int path_at = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end,
		   perms, &off, &major, &minor, &ino, &path_at) != 7 || !path_at)
		return false;
	*m = (struct pt_mapping){
		.start = start, .end = end, .off = off, .ino = ino,
		.dev = (__u64)major << 32 | minor,
		.is_writable = perms[1] == 'w', .is_shared = perms[3] == 's',
		.is_file = ino && strncmp(line + path_at, HUGE_NAME,
					  strlen(HUGE_NAME)),
		.path = line + path_at,
	};
	return true;
}

/* ---- all of them ---- */

static int proc_open(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int pt_mappings_open(pid_t pid)
{
	return proc_open(pid, "maps");
}

int pt_smaps_open(pid_t pid)
{
	return proc_open(pid, "smaps");
}

/* lines_each calls fn for each line, without its end. */
static int lines_each(int fd, int (*fn)(void *arg, const char *line), void *arg)
{
	char text[CHUNK + 1];
	size_t kept = 0;
	int code = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while (!code) {
		ssize_t got = read(fd, text + kept, CHUNK - kept);
		char *line = text, *end;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : 0;
		text[kept + got] = '\0';
		for (; !code && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			code = fn(arg, line);
		}
		kept = code ? 0 : strlen(line);
		memmove(text, line, kept);
		if (kept == CHUNK)
			return -EIO;
	}
	return code;
}

struct each {
	int (*fn)(void *arg, const struct pt_mapping *m);
	void *arg;
	bool is_any;
};

static int each_line(void *arg, const char *line)
{
	struct each *e = arg;
	struct pt_mapping m;

	if (!line_read(line, &m))
		return 0;
	e->is_any = true;
	return e->fn(e->arg, &m);
}

int pt_mappings_each(int maps, int (*fn)(void *arg, const struct pt_mapping *m),
		     void *arg)
{
	struct each e = { .fn = fn, .arg = arg };
	int code = lines_each(maps, each_line, &e);

	return code || e.is_any ? code : -ESRCH;
}

struct smaps {
	int (*fn)(void *arg, const struct pt_mapping *m, const char *line);
	void *arg;
	struct pt_mapping m;	/* whose lines follow; its path is in header */
	char header[CHUNK];
	bool is_any;
};

static int smaps_line(void *arg, const char *line)
{
	struct smaps *s = arg;

	if (line[0] >= 'A' && line[0] <= 'Z')
		return s->is_any ? s->fn(s->arg, &s->m, line) : 0;
	snprintf(s->header, sizeof(s->header), "%s", line);
	s->is_any |= line_read(s->header, &s->m);
	return 0;
}

int pt_smaps_each(int smaps,
		  int (*fn)(void *arg, const struct pt_mapping *m, const char *line),
		  void *arg)
{
	struct smaps s = { .fn = fn, .arg = arg };
	int code = lines_each(smaps, smaps_line, &s);

	return code || s.is_any ? code : -ESRCH;
}

/* ---- those that are writable ---- */

/* filtered calls fn for the mappings that pt_mappings_writable is about. */
struct filtered {
	bool has_private;
	int (*fn)(void *arg, const struct pt_mapping *m);
	void *arg;
};

static int filter(void *arg, const struct pt_mapping *m)
{
	const struct filtered *f = arg;

	return m->is_writable && m->ino && (m->is_shared || f->has_private)
		? f->fn(f->arg, m) : 0;
}

int pt_mappings_writable(int maps, bool has_private,
			 int (*fn)(void *arg, const struct pt_mapping *m),
			 void *arg)
{
	struct filtered f = { .has_private = has_private, .fn = fn, .arg = arg };
	__u64 from = 0;

	for (__u32 i = 0; i < PT_MAPPINGS_MAX; i++) {
		struct map_query q = {
			.size = sizeof(q), .addr = from,
			.flags = QUERY_WRITABLE | (has_private ? 0 : QUERY_SHARED),
		};
		struct pt_mapping m;
		int code;

		if (ioctl(maps, MAP_QUERY, &q)) {
			if (errno == ENOENT || errno == ESRCH)
				return 0;
			if (errno != ENOTTY)
				return -errno;
			code = pt_mappings_each(maps, filter, &f);
			return code == -ESRCH ? 0 : code;
		}
		m = (struct pt_mapping){
			.start = q.start, .end = q.end, .off = q.off,
			.dev = (__u64)q.dev_major << 32 | q.dev_minor,
			.ino = q.ino, .is_writable = true,
			.is_shared = q.vma_flags & QUERY_SHARED,
		};
		code = fn(arg, &m);
		if (code)
			return code;
		from = q.end;
	}
	return -EIO;
}

__u64 pt_mappings_page_sz(int maps, __u64 addr)
{
	struct map_query q = { .size = sizeof(q), .addr = addr };

	return ioctl(maps, MAP_QUERY, &q) ? 0 : q.page_size;
}
