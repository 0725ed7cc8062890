// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Placing bytes in an image: by write(2), by copy, or by copy past the
 * cache. */
#include "sink/image_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include <pagetrim/check.h>
#include "memory/guard.h"
#include "sink/sink_large.h"
#include "sink/stream_copy.h"

#define WRITE_SZ_MIN	(2 * PT_PAGE_SZ)	/* up to here the mapping is as
						 * fast */
#define PUNCH_SZ_MIN	(16 * PT_PAGE_SZ)	/* up to here zeroes are as
						 * fast */
#define ZERO_PIECES	64

static const __u8 zeroes[PT_PAGE_SZ];

/* stream copies to populated pages, without a fault or a system call. */
static void stream(__u8 *to, const struct iovec *pieces, __u32 cnt)
{
	for (__u32 i = 0; i < cnt; i++) {
		pt_stream_copy(to, pieces[i].iov_base, pieces[i].iov_len);
		to += pieces[i].iov_len;
	}
	pt_stream_copy_end();
}

static void copy(__u8 *to, const struct iovec *pieces, __u32 cnt)
{
	for (__u32 i = 0; i < cnt; i++) {
		memcpy(to, pieces[i].iov_base, pieces[i].iov_len);
		to += pieces[i].iov_len;
	}
}

static int write_all(const struct pt_image *s, __u64 off, struct iovec *pieces,
		     __u32 cnt, __u64 sz, struct pt_error *err)
{
	while (sz) {
		ssize_t done = pwritev(s->fd, pieces, cnt, off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return pt_image_write_failed(s, done ? errno : ENOSPC,
						     err);
		off += done;
		sz -= done;
		pt_pieces_advance(&pieces, &cnt, done);
	}
	return 0;
}

int pt_image_op_place(struct pt_sink *sink, __u64 off, struct iovec *pieces,
		      __u32 cnt, __u64 sz, struct pt_error *err)
{
	const struct pt_image *s = pt_image_of(sink);

	pt_sink_large_ready(sink, off, sz);
	/* A page fault that waits for storage may hold the lock of the
	 * process's mappings.  Every thread that allocates memory then waits,
	 * the control thread too. */
	if (s->takes_write &&
	    (sink->may_wait || pt_guard_is_barred() ||
	     (sz >= WRITE_SZ_MIN && off + sz > s->populated_sz)))
		return write_all(s, off, pieces, cnt, sz, err);
	if (off + sz <= s->populated_sz)
		stream(s->map + off, pieces, cnt);
	else
		copy(s->map + off, pieces, cnt);
	return 0;
}

/* zero_write writes zeroes, like placing, so it waits only where that may. */
static int zero_write(struct pt_sink *sink, __u64 off, __u64 sz,
		      struct pt_error *err)
{
	struct iovec pieces[ZERO_PIECES];
	int ret = 0;

	while (!ret && sz) {
		__u64 left = sz < ZERO_PIECES * PT_PAGE_SZ
			? sz : ZERO_PIECES * PT_PAGE_SZ;
		__u64 part = left;
		__u32 cnt = 0;

		for (; left; cnt++) {
			pieces[cnt].iov_base = (void *)zeroes;
			pieces[cnt].iov_len = left < PT_PAGE_SZ ? left
								: PT_PAGE_SZ;
			left -= pieces[cnt].iov_len;
		}
		ret = pt_image_op_place(sink, off, pieces, cnt, part, err);
		off += part;
		sz -= part;
	}
	return ret;
}

/* Punching a hole frees memory, except what was reserved on purpose, and takes a
 * large page apart. */
int pt_image_op_zero(struct pt_sink *sink, __u64 off, __u64 sz,
		     struct pt_error *err)
{
	const struct pt_image *s = pt_image_of(sink);

	if (sz >= PUNCH_SZ_MIN && off >= s->populated_sz && s->takes_write &&
	    (sink->may_wait || !pt_sink_large_wants(sink, off, sz)) &&
	    !fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
		       sz))
		return 0;
	return zero_write(sink, off, sz, err);
}

const __u8 *pt_image_op_see(const struct pt_sink *sink, __u64 off)
{
	const struct pt_image *s = pt_image_of_const(sink);

	return !s->map || (s->takes_write && pt_guard_is_barred())
		? NULL : s->map + off;
}
