/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Pages of a guest's memory that could not be read at the source.
 *
 *     all is placed --> holes --> marked in each mapper --> what a hole has taken
 *                                                           out is mapped again
 *
 * A mark takes a page table entry that is empty, so the page is made a hole first.
 * That takes a large page apart, and unmaps all of it.  Nothing of the unit is
 * collapsed any more: that would remove the marks. */
#include "sink/sink_guest_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#define TRIES		8	/* while somebody touches the holes */
#define READ_SZ		(64u << 10)

static int cannot(const struct pt_guest_range *r, const char *cause,
		  struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "memory '%s': pages "
			    "that could not be read at the source cannot be "
			    "marked: %s", r->name, cause);
}

int pt_guest_op_check_marks(const struct pt_sink *s, struct pt_error *err)
{
	const struct pt_guest_sink *g = pt_guest_of(s);

	for (__u32 i = 0; i < g->cnt; i++) {
		const struct pt_guest_range *r = &g->ranges[i];
		struct statfs fs;

		if (!g->poison)
			return cannot(r, "this kernel has no marks for them (Linux "
				      "6.7 or newer has)", err);
		if (fstatfs(r->fd, &fs) || (unsigned long)fs.f_type != TMPFS_MAGIC)
			return cannot(r, "it is not on a tmpfs", err);
		if (!r->may_punch)
			return cannot(r, "its file cannot be opened to be written",
				      err);
	}
	return 0;
}

struct marking {
	struct pt_guest_sink *g;
	struct pt_sink_guest_mark *marks;	/* by address, of what follows */
	__u32 cnt;
};

/* mark_holes makes pages of the image holes, of one range or several. */
static int mark_holes(struct marking *m, __u64 off, __u64 sz, struct pt_error *err)
{
	while (sz) {
		const struct pt_guest_range *r = pt_guest_range_at(m->g, off);
		__u64 in = off - r->off;
		__u64 part = r->sz - in < sz ? r->sz - in : sz;

		if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      r->file_off + in, part))
			return cannot(r, strerror(errno), err);
		pt_guest_bits_clear(m->g->held, off / PT_PAGE_SZ,
				    part / PT_PAGE_SZ);
		pt_guest_bits_clear(m->g->written, off / PT_PAGE_SZ,
				    part / PT_PAGE_SZ);
		m->marks[m->cnt++] = (struct pt_sink_guest_mark){
			.addr = r->addr + in, .sz = part,
		};
		off += part;
		sz -= part;
	}
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct pt_sink_guest_mark *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* try_mark: somebody may touch a hole before it is marked (-EEXIST). */
static int try_mark(struct marking *m, struct pt_error *err)
{
	const struct pt_page_ranges *ranges = &m->g->sink.marks;
	int ret = 0;

	m->cnt = 0;
	for (__u32 i = 0; !ret && i < ranges->cnt; i++)
		ret = mark_holes(m, ranges->all[i].first * PT_PAGE_SZ,
				 ranges->all[i].cnt * PT_PAGE_SZ, err);
	qsort(m->marks, m->cnt, sizeof(*m->marks), by_addr);
	return ret ? ret : m->g->poison(m->g->arg, m->marks, m->cnt, err);
}

/* unit_map has the guest's process map the data of a unit, by reading it there. */
static int unit_map(const struct pt_guest_sink *g, __u64 unit, __u8 *buffer,
		    struct pt_error *err)
{
	__u64 page = unit * PT_LARGE_SZ / PT_PAGE_SZ;
	__u64 end = page + PT_LARGE_SZ / PT_PAGE_SZ;
	int ret = 0;

	end = end < g->sink.sz / PT_PAGE_SZ ? end : g->sink.sz / PT_PAGE_SZ;
	while (!ret && page < end) {
		__u64 run = pt_guest_holes_run(g, page, end - page);

		run = run < READ_SZ / PT_PAGE_SZ ? run : READ_SZ / PT_PAGE_SZ;
		if (!pt_guest_is_hole(g, page))
			ret = pt_process_memory_read(&g->memory, page * PT_PAGE_SZ,
						     buffer, run * PT_PAGE_SZ, err);
		page += run;
	}
	return ret;
}

/* map_again maps the units in which there are marks, each once.  A large page of the
 * process may be in two units of the image. */
static int map_again(const struct pt_guest_sink *g, __u8 *buffer,
		     struct pt_error *err)
{
	const struct pt_page_ranges *ranges = &g->sink.marks;
	__u64 last = g->sink.sz ? (g->sink.sz - 1) / PT_LARGE_SZ : 0, next = 0;
	int ret = 0;

	for (__u32 i = 0; i < ranges->cnt; i++) {
		const struct pt_page_range *r = &ranges->all[i];
		__u64 unit = r->first * PT_PAGE_SZ / PT_LARGE_SZ;
		__u64 end = (r->first + r->cnt - 1) * PT_PAGE_SZ / PT_LARGE_SZ + 1;

		unit = unit ? unit - 1 : 0;
		unit = unit > next ? unit : next;
		for (; !ret && unit <= end && unit <= last; unit++)
			ret = unit_map(g, unit, buffer, err);
		next = unit > next ? unit : next;
	}
	return ret;
}

/* mark_all: an empty page that somebody touched is made a hole again. */
static int mark_all(struct pt_guest_sink *g, struct pt_error *err)
{
	struct marking m = { .g = g };
	int ret = -EEXIST;

	m.marks = calloc(g->sink.marks.cnt + g->cnt, sizeof(*m.marks));
	if (!m.marks)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for pages "
				    "that cannot be read");
	for (int i = 0; ret == -EEXIST && i < TRIES; i++)
		ret = try_mark(&m, err);
	free(m.marks);
	return ret;
}

/* pt_guest_op_sync marks the pages: before the guest runs, and before its source gives
 * it up. */
int pt_guest_op_sync(struct pt_sink *s, struct pt_error *err)
{
	struct pt_guest_sink *g = pt_guest_of(s);
	__u8 *buffer;
	int ret;

	if (!s->marks.cnt)
		return 0;
	ret = pt_guest_op_check_marks(s, err);
	if (!ret)
		ret = mark_all(g, err);
	if (ret)
		return ret;
	buffer = malloc(READ_SZ);
	if (!buffer)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for pages "
				    "that cannot be read");
	ret = map_again(g, buffer, err);
	free(buffer);
	return ret;
}

/* pt_guest_mark_late marks the pages in processes that have mapped the memory since
 * sync, as vhost-user back-ends do when the guest begins to run: QEMU has told them of
 * the memory before it answers that it runs. */
void pt_guest_mark_late(struct pt_guest_sink *g)
{
	struct pt_error err;

	if (g->sink.marks.cnt && mark_all(g, &err))
		g->unmarked(g->arg, &err);
}
