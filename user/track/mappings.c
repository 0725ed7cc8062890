// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/mappings.h"

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
#define QUERY_SHARED	(0x2 | 0x8 | 0x10 | 0x20)
			/* writable, shared, at the address or the next, file */

/* The name of large anonymous pages, which have an inode. */
#define HUGE_NAME	"/anon_hugepage"

#define CHUNK 16384	/* the longest line, with a path of 4 KiB, is less */

int pt_mappings_open(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool line_read(const char *line, struct pt_mapping *m)
{
	unsigned long long start, end, off, ino;
	unsigned int major, minor;
	char perms[5];
	int path_at = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end,
		   perms, &off, &major, &minor, &ino, &path_at) != 7)
		return false;
	*m = (struct pt_mapping){
		.start = start, .end = end, .off = off, .ino = ino,
		.dev = (__u64)major << 32 | minor,
		.is_writable = perms[1] == 'w', .is_shared = perms[3] == 's',
		.is_file = ino && strncmp(line + path_at, HUGE_NAME,
					  strlen(HUGE_NAME)),
	};
	return true;
}

int pt_mappings_each(int maps, int (*fn)(void *arg, const struct pt_mapping *m),
		     void *arg)
{
	char text[CHUNK + 1];
	size_t kept = 0;
	bool any = false;
	int code = 0;

	if (lseek(maps, 0, SEEK_SET) < 0)
		return -errno;
	while (!code) {
		ssize_t got = read(maps, text + kept, CHUNK - kept);
		char *line = text, *end;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return any ? 0 : -ESRCH;
		text[kept + got] = '\0';
		for (; !code && (end = strchr(line, '\n')); line = end + 1) {
			struct pt_mapping m;

			*end = '\0';
			if (line_read(line, &m)) {
				any = true;
				code = fn(arg, &m);
			}
		}
		kept = code ? 0 : strlen(line);
		memmove(text, line, kept);
		if (kept == CHUNK)
			return -EIO;
	}
	return code;
}

/* filtered calls fn for the mappings that pt_mappings_shared is about. */
struct filtered {
	int (*fn)(void *arg, const struct pt_mapping *m);
	void *arg;
};

static int filter(void *arg, const struct pt_mapping *m)
{
	const struct filtered *f = arg;

	return m->is_shared && m->is_writable && m->ino ? f->fn(f->arg, m) : 0;
}

int pt_mappings_shared(int maps,
		       int (*fn)(void *arg, const struct pt_mapping *m),
		       void *arg)
{
	struct filtered f = { .fn = fn, .arg = arg };
	__u64 from = 0;

	for (__u32 i = 0; i < PT_MAPPINGS_MAX; i++) {
		struct map_query q = { .size = sizeof(q), .addr = from,
				       .flags = QUERY_SHARED };
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
			.ino = q.ino, .is_writable = true, .is_shared = true,
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
