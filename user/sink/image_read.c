// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/image_impl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool pt_image_data(const struct pt_sink *sink, __u64 off, __u64 *from, __u64 *to)
{
	const struct pt_image *s = pt_image_of_const(sink);
	__u64 end = pt_layout_image_sz(s->sink.layout);
	off_t at;

	if (off >= end)
		return false;
	at = lseek(s->fd, off, SEEK_DATA);
	if (at < 0 && errno == ENXIO)
		return false;
	/* A file system without holes reports data everywhere. */
	*from = at < 0 ? off : (__u64)at;
	at = lseek(s->fd, *from, SEEK_HOLE);
	*to = at < 0 ? end : (__u64)at;
	return *from < end;
}

/* The read goes through read(2): through the mapping it would fill a hole on a
 * tmpfs or hugetlbfs, and a bad disk would raise SIGBUS. */
int pt_image_op_read(const struct pt_sink *sink, __u64 off, void *to, __u64 sz,
		 struct pt_error *err)
{
	const struct pt_image *s = pt_image_of_const(sink);
	__u8 *at = to;

	while (sz) {
		ssize_t got = pread(s->fd, at, sz, off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pt_error_set(err, PT_EXIT_HOST, -EIO,
					    "%s.partial: cannot be read: %s "
					    "(remove it, or receive without "
					    "{resume})", s->path,
					    strerror(errno));
		if (!got)
			break;
		at += got;
		off += got;
		sz -= got;
	}
	memset(at, 0, sz);
	return 0;
}
