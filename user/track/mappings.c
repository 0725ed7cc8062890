// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &start, &end, perms,
		   &off, &major, &minor, &ino) != 7)
		return false;
	*m = (struct pt_mapping){
		.start = start, .end = end, .off = off, .ino = ino,
		.dev = (__u64)major << 32 | minor,
		.is_writable = perms[1] == 'w', .is_shared = perms[3] == 's',
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
