/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/process_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "sink/sink_ops.h"

#define ZERO_SZ	(16u << 10)
#define JOIN_SZ	(16u << 10)	/* on the stack */

int pt_process_memory_open(struct pt_process_memory *m, pid_t pid,
			   struct pt_error *err)
{
	char path[64];

	*m = (struct pt_process_memory){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	m->fd = open(path, O_RDWR | O_CLOEXEC);
	if (m->fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
				    "process %d: no such process", pid);
	return pt_error_set(err, PT_EXIT_HOST, -errno, "process %d: cannot open "
			    "its memory: %s%s", pid, strerror(errno),
			    pt_process_remedy(-errno));
}

void pt_process_memory_close(struct pt_process_memory *m)
{
	if (m->fd >= 0)
		close(m->fd);
	pt_sink_parts_free(&m->parts);
}

/* failed sets the error of a call that moved only `done` bytes at `at`. */
static int failed(const struct pt_process_memory *m, const char *what, __u64 at,
		  ssize_t done, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EIO, "process %d: its memory at "
			    "0x%llx cannot be %s: %s", m->pid, at, what,
			    done < 0 ? strerror(errno) : "it went away");
}

/* next_piece returns the next bytes to write, at most sz, and stores them joined
 * if they are in several pieces: the kernel looks the pages up anew for each piece
 * of a pwritev(2) here, which took most of the time of trimmed pages. */
static struct iovec next_piece(const struct iovec *pieces, __u64 sz,
			       __u8 joined[JOIN_SZ])
{
	struct iovec out = { joined, 0 };

	if (pieces->iov_len >= sz || pieces->iov_len >= JOIN_SZ)
		return (struct iovec){ pieces->iov_base, pieces->iov_len < sz
							? pieces->iov_len : sz };
	sz = sz < JOIN_SZ ? sz : JOIN_SZ;
	while (out.iov_len < sz) {
		__u64 left = sz - out.iov_len;
		__u64 part = pieces->iov_len < left ? pieces->iov_len : left;

		memcpy(joined + out.iov_len, pieces->iov_base, part);
		out.iov_len += part;
		pieces++;
	}
	return out;
}

int pt_process_memory_place(const struct pt_process_memory *m, __u64 off,
			    struct iovec *pieces, __u32 cnt, __u64 sz,
			    struct pt_error *err)
{
	__u8 joined[JOIN_SZ];

	while (sz) {
		__u64 at;
		__u64 run = pt_sink_parts_find(&m->parts, off, &at);
		struct iovec next = next_piece(pieces, run < sz ? run : sz,
					       joined);
		ssize_t done = pwrite(m->fd, next.iov_base, next.iov_len, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return failed(m, "written", at, done, err);
		pt_pieces_advance(&pieces, &cnt, done);
		off += done;
		sz -= done;
	}
	return 0;
}

int pt_process_memory_zero(const struct pt_process_memory *m, __u64 off,
			   __u64 sz, struct pt_error *err)
{
	static const __u8 zeroes[ZERO_SZ];
	int ret = 0;

	while (!ret && sz) {
		__u64 part = sz < ZERO_SZ ? sz : ZERO_SZ;
		struct iovec piece = { (void *)zeroes, part };

		ret = pt_process_memory_place(m, off, &piece, 1, part, err);
		off += part;
		sz -= part;
	}
	return ret;
}

int pt_process_memory_read(const struct pt_process_memory *m, __u64 off,
			   void *to, __u64 sz, struct pt_error *err)
{
	__u8 *into = to;

	while (sz) {
		__u64 at;
		__u64 run = pt_sink_parts_find(&m->parts, off, &at);
		ssize_t done = pread(m->fd, into, run < sz ? run : sz, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return failed(m, "read", at, done, err);
		into += done;
		off += done;
		sz -= done;
	}
	return 0;
}
