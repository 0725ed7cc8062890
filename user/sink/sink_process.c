/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/sink_process.h"

#include <errno.h>
#include <stdlib.h>

#include "sink/process_memory.h"
#include "sink/sink_ops.h"

struct process {
	struct pt_sink sink;		/* first */
	struct pt_process_memory memory;
	struct pt_region *table;
	__u32 cnt;
};

static const struct pt_process_memory *memory_of(const struct pt_sink *s)
{
	return &((const struct process *)s)->memory;
}

static int process_fit(struct pt_sink *s, const struct pt_layout *l,
		       struct pt_error *err)
{
	struct process *p = (struct process *)s;
	int ret;

	if (p->memory.parts.parts)	/* a failed transfer left data */
		s->starts_zero = false;
	ret = pt_sink_parts_fit(&p->memory.parts, p->table, p->cnt, l, err);
	s->sz = p->memory.parts.sz;
	return ret;
}

static int process_place(struct pt_sink *s, __u64 off, struct iovec *pieces,
			 __u32 cnt, __u64 sz, struct pt_error *err)
{
	return pt_process_memory_place(memory_of(s), off, pieces, cnt, sz, err);
}

static int process_zero(struct pt_sink *s, __u64 off, __u64 sz,
			struct pt_error *err)
{
	return pt_process_memory_zero(memory_of(s), off, sz, err);
}

static int process_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
			struct pt_error *err)
{
	return pt_process_memory_read(memory_of(s), off, to, sz, err);
}

static void process_close(struct pt_sink *s)
{
	struct process *p = (struct process *)s;

	pt_process_memory_close(&p->memory);
	free(p->table);
	free(p);
}

static const struct pt_sink_ops process_ops = {
	.fit = process_fit,
	.place = process_place,
	.zero = process_zero,
	.read = process_read,
	.close = process_close,
};

int pt_sink_open_process(struct pt_sink **out, pid_t pid,
			 const struct pt_region *regions, __u32 cnt,
			 bool is_zero, struct pt_error *err)
{
	struct process *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "process %d: no memory", pid);
	p->sink.ops = &process_ops;
	p->sink.starts_zero = is_zero;
	p->sink.may_wait = true;	/* the memory may be a mapping of a
					 * file */
	p->memory.fd = -1;
	p->cnt = cnt;
	ret = pt_regions_sort(&p->table, regions, cnt, err);
	if (!ret)
		ret = pt_process_memory_open(&p->memory, pid, err);
	if (ret) {
		process_close(&p->sink);
		return ret;
	}
	*out = &p->sink;
	return 0;
}
