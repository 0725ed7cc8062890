// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Large pages of an image on a tmpfs or hugetlbfs. */
#include "sink/image_impl.h"

#include <errno.h>
#include <sys/mman.h>

#include "memory/large.h"
#include "sink/large_map.h"

void *pt_image_map_aligned(const struct pt_image *s, __u64 sz)
{
	if (sz < PT_LARGE_SZ || !s->takes_write)
		return mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
			    0);
	return pt_large_map(s->fd, sz);
}

/* pt_image_op_build: one page in a unit is enough for the kernel to make a large page
 * of it, with zeroes for the others.  Where the file system makes large pages by
 * itself the first fault gets one.  The mapping is ours alone. */
int pt_image_op_build(struct pt_sink *sink, __u64 off, __u64 sz)
{
	const struct pt_image *s = pt_image_of(sink);

	if (sink->may_wait || !s->map)
		return -EOPNOTSUPP;
	return pt_large_map_build(s->map + off, sz, s->takes_write);
}

__s64 pt_image_op_large_sz(const struct pt_sink *sink, __u64 off, __u64 sz)
{
	const struct pt_image *s = pt_image_of_const(sink);

	return sink->may_wait || !s->map ? 0 : pt_large_map_sz(s->map + off, sz);
}
