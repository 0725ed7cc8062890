/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/sink_regions.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "sink/sink_ops.h"
#include "sink/sink_parts.h"

struct regions {
	struct pt_sink sink;		/* first */
	struct pt_region *table;
	__u32 cnt;
	struct pt_sink_parts parts;
};

static struct regions *regions_of(struct pt_sink *s)
{
	return (struct regions *)s;
}

static const struct pt_sink_parts *parts_of(const struct pt_sink *s)
{
	return &((const struct regions *)s)->parts;
}

static int failed(struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EIO, "a region's memory cannot "
			    "be read or written (is it mapped, is the file "
			    "behind it too short or full?)");
}

static int regions_fit(struct pt_sink *s, const struct pt_layout *l,
		       struct pt_error *err)
{
	struct regions *r = regions_of(s);
	int ret;

	/* A failed transfer left data there. */
	if (r->parts.parts)
		s->starts_zero = false;
	ret = pt_sink_parts_fit(&r->parts, r->table, r->cnt, l, err);
	s->sz = r->parts.sz;
	return ret;
}

static int regions_place(struct pt_sink *s, __u64 off, struct iovec *pieces,
			 __u32 cnt, __u64 sz, struct pt_error *err)
{
	(void)err;
	pt_sink_parts_place(parts_of(s), off, pieces, cnt, sz);
	return 0;
}

static int regions_zero(struct pt_sink *s, __u64 off, __u64 sz,
			struct pt_error *err)
{
	(void)err;
	pt_sink_parts_zero(parts_of(s), off, sz);
	return 0;
}

static int regions_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
			struct pt_error *err)
{
	return pt_sink_parts_read(parts_of(s), off, to, sz) ? 0 : failed(err);
}

static const __u8 *regions_see(const struct pt_sink *s, __u64 off)
{
	__u64 at;

	pt_sink_parts_find(parts_of(s), off, &at);
	return (const __u8 *)(uintptr_t)at;
}

static int regions_fault(const struct pt_sink *s, const void *addr,
			 struct pt_error *err)
{
	return pt_sink_parts_has(parts_of(s), addr) ? failed(err) : 0;
}

static void regions_close(struct pt_sink *s)
{
	struct regions *r = regions_of(s);

	pt_sink_parts_free(&r->parts);
	free(r->table);
	free(r);
}

static const struct pt_sink_ops regions_ops = {
	.fit = regions_fit,
	.place = regions_place,
	.zero = regions_zero,
	.read = regions_read,
	.see = regions_see,
	.fault = regions_fault,
	.close = regions_close,
};

int pt_sink_open_regions(struct pt_sink **out, const struct pt_region *regions,
			 __u32 cnt, bool is_zero, struct pt_error *err)
{
	struct regions *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u regions", cnt);
	r->sink.ops = &regions_ops;
	r->sink.starts_zero = is_zero;
	r->cnt = cnt;
	ret = pt_regions_sort(&r->table, regions, cnt, err);
	if (ret) {
		free(r);
		return ret;
	}
	*out = &r->sink;
	return 0;
}
