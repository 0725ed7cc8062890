// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/image_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void pt_image_mount(const struct pt_image *s, struct pt_image_mount *out)
{
	unsigned int major_no, minor_no;
	char *line = NULL;
	size_t room = 0;
	struct stat st;
	FILE *mounts;

	memset(out, 0, sizeof(*out));
	mounts = fopen("/proc/self/mountinfo", "re");
	if (!mounts || fstat(s->fd, &st))
		goto close_mounts;
	/* "ID PARENT MAJ:MIN ROOT POINT OPTIONS ... - TYPE SOURCE OPTIONS" */
	while (getline(&line, &room, mounts) > 0) {
		const char *tail = strstr(line, " - ");
		struct pt_image_mount m = { .options = "" };

		if (!tail || sscanf(tail, " - %63s %*s %255s", m.type,
				    m.options) < 1 ||
		    sscanf(line, "%*d %*d %u:%u %*s %255s", &major_no,
			   &minor_no, m.point) != 3)
			continue;
		if (makedev(major_no, minor_no) == st.st_dev)
			*out = m;
	}
close_mounts:
	free(line);
	if (mounts)
		fclose(mounts);
}

int pt_image_write_failed(const struct pt_image *s, int code,
			 struct pt_error *err)
{
	char where[340] = "";
	struct pt_image_mount m;

	pt_image_mount(s, &m);
	if (m.type[0])
		snprintf(where, sizeof(where), ", %s on %s", m.type, m.point);
	if (code == EDQUOT)
		return pt_error_set(err, PT_EXIT_HOST, -ENOSPC,
				    "%s.partial: the quota of its user on its "
				    "file system%s is used up (raise it, or "
				    "name another)", s->path, where);
	if (code == ENOSPC)
		return pt_error_set(err, PT_EXIT_HOST, -ENOSPC,
				    "%s.partial: its file system%s is full "
				    "(free some space, or name another)",
				    s->path, where);
	return pt_error_set(err, PT_EXIT_HOST, -EIO,
			    "%s.partial: cannot be written%s: %s", s->path,
			    where, strerror(code));
}

int pt_image_op_fault(const struct pt_sink *sink, const void *addr,
		  struct pt_error *err)
{
	const struct pt_image *s = pt_image_of_const(sink);
	const __u8 *at = addr;
	struct stat st;
	int code;

	if (!s->map || at < s->map || at >= s->map + s->map_sz)
		return 0;
	if (!fstat(s->fd, &st) &&
	    (__u64)st.st_size < pt_layout_image_sz(s->sink.layout))
		return pt_error_set(err, PT_EXIT_FAILED, -EIO,
				    "%s.partial: someone cut it short while it "
				    "was written", s->path);
	/* A signal carries no errno, but the same write by pwrite(2) returns
	 * one.  The page has no content to lose: the transfer fails, and a
	 * resumption compares kept pages before it uses them. */
	code = !s->takes_write ? ENOMEM :	/* a hugetlbfs takes none */
	       pwrite(s->fd, "", 1, at - s->map) < 0 ? errno : ENOSPC;
	return pt_image_write_failed(s, code, err);
}
