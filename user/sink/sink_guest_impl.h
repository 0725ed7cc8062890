/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_guest_impl: the inside of a guest's memory as a sink, for sink_guest*.c. */
#ifndef SINK_SINK_GUEST_IMPL_H
#define SINK_SINK_GUEST_IMPL_H

#include "memory/large.h"
#include "sink/process_memory.h"
#include "sink/sink_guest.h"
#include "sink/sink_ops.h"

struct pt_guest_range {
	char name[PT_SEGMENT_NAME_SZ];
	__u64 sz;
	__u64 addr;
	__u64 file_off;
	__u64 off;		/* in the image, bytes */
	int fd;
	bool may_punch;
	bool is_hugetlb;
};

struct pt_guest_sink {
	struct pt_sink sink;		/* first */
	struct pt_process_memory memory;
	struct pt_guest_range *ranges;
	__u32 cnt;
	int pagemap;		/* of the process */
	int (*run)(void *arg, struct pt_error *err);
	int (*collapse)(void *arg, __u64 addr, __u64 sz);
	int (*poison)(void *arg, const struct pt_sink_guest_mark *marks,
		      __u32 cnt, struct pt_error *err);
	void (*unmarked)(void *arg, const struct pt_error *err);
	const struct pt_sink_guest_fill *fill;
	void *arg;
	__u64 *lacks;		/* bit: the page comes later; NULL: none does */
	__u64 *held;		/* bit: the page was no hole at fit */
	__u64 *written;		/* bit: it was a hole, and was written since */
};

static inline struct pt_guest_sink *pt_guest_of(const struct pt_sink *s)
{
	return (struct pt_guest_sink *)s;
}

/* ---- bits of pages; words are shared by threads, pages are not ---- */

static inline bool pt_guest_bit(const __u64 *bits, __u64 page)
{
	return __atomic_load_n(&bits[page / 64], __ATOMIC_RELAXED) >>
	       (page % 64) & 1;
}

static inline void pt_guest_bits_set(__u64 *bits, __u64 page, __u64 cnt)
{
	for (; cnt; page++, cnt--)
		__atomic_fetch_or(&bits[page / 64], 1ULL << (page % 64),
				  __ATOMIC_RELAXED);
}

static inline void pt_guest_bits_clear(__u64 *bits, __u64 page, __u64 cnt)
{
	for (; cnt; page++, cnt--)
		__atomic_fetch_and(&bits[page / 64], ~(1ULL << (page % 64)),
				   __ATOMIC_RELAXED);
}

static inline bool pt_guest_is_hole(const struct pt_guest_sink *g, __u64 page)
{
	return !pt_guest_bit(g->held, page) && !pt_guest_bit(g->written, page);
}

/* pt_guest_holes_run returns how many of the cnt pages from page on are like that
 * one: holes or not. */
static inline __u64 pt_guest_holes_run(const struct pt_guest_sink *g,
				       __u64 page, __u64 cnt)
{
	bool first = pt_guest_is_hole(g, page);
	__u64 run = 1;

	while (run < cnt && pt_guest_is_hole(g, page + run) == first)
		run++;
	return run;
}

/* pt_guest_range_at returns the range that has the byte at off of the image. */
static inline const struct pt_guest_range *
pt_guest_range_at(const struct pt_guest_sink *g, __u64 off)
{
	__u32 i = 0;

	while (off - g->ranges[i].off >= g->ranges[i].sz)
		i++;
	return &g->ranges[i];
}

/* pt_guest_check refuses segments that are not the ranges. */
int pt_guest_check(const struct pt_guest_sink *g, const struct pt_segment *segs,
		   __u32 cnt, struct pt_error *err);

/* pt_guest_rest_ops: those of a guest that runs already. */
extern const struct pt_sink_ops pt_guest_rest_ops;

/* sink_guest_marks.c: once the guest runs. */
void pt_guest_mark_late(struct pt_guest_sink *g);

/* pt_guest_op_X: operation X of struct pt_sink_ops. */
int pt_guest_op_build(struct pt_sink *s, __u64 off, __u64 sz);
__s64 pt_guest_op_large_sz(const struct pt_sink *s, __u64 off, __u64 sz);
__u64 pt_guest_op_unmapped(const struct pt_sink *s);
int pt_guest_op_check_marks(const struct pt_sink *s, struct pt_error *err);
int pt_guest_op_sync(struct pt_sink *s, struct pt_error *err);
int pt_guest_op_lack(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err);
int pt_guest_op_fill(struct pt_sink *s, struct pt_error *err);
void pt_guest_op_close(struct pt_sink *s);

#endif
