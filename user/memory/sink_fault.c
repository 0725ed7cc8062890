// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/sink_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* mount_name says on which file system the file is, " on tmpfs /dev/shm", or
 * nothing if /proc does not tell. */
static void mount_name(int fd, char *text, size_t text_sz)
{
	unsigned int major_no, minor_no;
	char point[256], type[64];
	size_t room = 0;
	char *line = NULL;
	struct stat st;
	FILE *mounts;

	text[0] = '\0';
	mounts = fopen("/proc/self/mountinfo", "re");
	if (!mounts || fstat(fd, &st))
		goto close_mounts;
	/* "ID PARENT MAJ:MIN ROOT POINT OPTIONS ... - TYPE SOURCE ..." */
	while (getline(&line, &room, mounts) > 0) {
		const char *tail = strstr(line, " - ");

		if (!tail || sscanf(tail, " - %63s", type) != 1 ||
		    sscanf(line, "%*d %*d %u:%u %*s %255s", &major_no,
			   &minor_no, point) != 3)
			continue;
		if (makedev(major_no, minor_no) == st.st_dev)
			snprintf(text, text_sz, ", %s on %s", type, point);
	}
close_mounts:
	free(line);
	if (mounts)
		fclose(mounts);
}

int pt_sink_write_failed(const struct pt_sink *s, int code,
			 struct pt_error *err)
{
	char where[340];

	mount_name(s->fd, where, sizeof(where));
	if (code == ENOSPC || code == EDQUOT)
		return pt_error_set(err, PT_EXIT_HOST, -ENOSPC,
				    "%s.partial: its file system%s is full "
				    "(free some space, or name another)",
				    s->path, where);
	return pt_error_set(err, PT_EXIT_HOST, -EIO,
			    "%s.partial: cannot be written%s: %s", s->path,
			    where, strerror(code));
}

int pt_sink_fault(const struct pt_sink *s, const void *addr,
		  struct pt_error *err)
{
	const __u8 *at = addr;
	struct stat st;
	int code;

	if (!s->map || at < s->map || at >= s->map + s->map_sz)
		return 0;
	if (!fstat(s->fd, &st) &&
	    (__u64)st.st_size < pt_layout_image_sz(s->layout))
		return pt_error_set(err, PT_EXIT_FAILED, -EIO,
				    "%s.partial: someone cut it short while it "
				    "was written", s->path);
	/* A signal carries no errno; the same write by pwrite(2) does.  The
	 * page has no content to lose: the transfer fails, and what is kept of
	 * it is compared before it is used. */
	code = pwrite(s->fd, "", 1, at - s->map) < 0 ? errno : ENOSPC;
	return pt_sink_write_failed(s, code, err);
}
