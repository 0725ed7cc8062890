/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_ops: the interface that a kind of sink implements; for the files of
 * kinds, and for tests.  A kind embeds struct pt_sink as its first member.
 *
 * off: bytes in the layout's image, where segments lie back to back, each on a
 * multiple of 4096.
 */
#ifndef SINK_SINK_OPS_H
#define SINK_SINK_OPS_H

#include <sys/uio.h>
#include "memory/page_ranges.h"
#include "sink/sink.h"

struct pt_sink_whole;
struct pt_sink_large;

/* All return 0 or -errno with err filled, unless their comment differs. */
struct pt_sink_ops {
	/* Prepares the sink for the pages of l, which outlives it, and sets
	 * sink->sz. */
	int (*fit)(struct pt_sink *s, const struct pt_layout *l,
		   struct pt_error *err);
	/* Writes the cnt pieces, sz bytes in all, back to back from off on; may
	 * change the array.  Any thread may call it, each for its own pages;
	 * the same holds for all that follow. */
	int (*place)(struct pt_sink *s, __u64 off, struct iovec *pieces,
		     __u32 cnt, __u64 sz, struct pt_error *err);
	/* Replaces place in a sink that takes only whole pages: 4096 bytes at
	 * page, for off.  Pieces of pages wait elsewhere until then.  sink->sz
	 * is a multiple of 4096. */
	int (*complete)(struct pt_sink *s, __u64 off, const void *page,
			struct pt_error *err);
	/* Makes sz bytes zero. */
	int (*zero)(struct pt_sink *s, __u64 off, __u64 sz,
		    struct pt_error *err);
	/* See pt_sink_lack, pt_sink_fill and pt_sink_lose; NULL: the sink is no memory
	 * that may be used before it is whole. */
	int (*lack)(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err);
	int (*fill)(struct pt_sink *s, struct pt_error *err);
	int (*lose)(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err);
	/* Reads sz bytes and allocates no page. */
	int (*read)(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		    struct pt_error *err);
	/* See pt_sink_data; NULL: never called. */
	bool (*data)(const struct pt_sink *s, __u64 off, __u64 *from, __u64 *to);
	/* Returns the page at off as readable memory.  NULL, also as the
	 * pointer: the sink has none, or its memory must not be accessed. */
	const __u8 *(*see)(const struct pt_sink *s, __u64 off);
	/* See pt_sink_fault; NULL: the sink has no mapping. */
	int (*fault)(const struct pt_sink *s, const void *addr,
		     struct pt_error *err);
	/* Called if the sink can mark pages at its commit, by s->marks, which are
	 * in pages of the image; NULL: it cannot. */
	int (*check_marks)(const struct pt_sink *s, struct pt_error *err);
	int (*sync)(struct pt_sink *s, struct pt_error *err); /* or NULL */
	int (*commit)(struct pt_sink *s, struct pt_error *err); /* or NULL */
	/* Small files and keeping after a failure: only file sinks have these,
	 * else NULL. */
	int (*file_begin)(struct pt_sink *s, const char *name, __u64 sz,
			  struct pt_error *err);
	int (*file_write)(struct pt_sink *s, const void *bytes, __u64 sz,
			  struct pt_error *err);
	bool (*is_kept)(const struct pt_sink *s);
	void (*invalidate)(struct pt_sink *s);
	/* See sink_large.h; NULL: the sink has no large pages.  build makes large
	 * pages of units; -errno: not all became one.  large_sz returns how many
	 * bytes of units are in large pages; -errno: not known. */
	int (*build)(struct pt_sink *s, __u64 off, __u64 sz);
	__s64 (*large_sz)(const struct pt_sink *s, __u64 off, __u64 sz);
	/* Returns how many pages with data the memory's owner has not mapped; or
	 * NULL. */
	__u64 (*unmapped)(const struct pt_sink *s);
	void (*close)(struct pt_sink *s);
};

struct pt_sink {
	const struct pt_sink_ops *ops;
	const struct pt_layout *layout;	/* NULL before fit */
	__u64 sz;			/* bytes it takes, set by fit: the
					 * image's, or up to its last page's
					 * end */
	bool starts_zero;		/* all pages are zero at fit */
	bool may_wait;			/* see pt_sink_may_wait */
	struct pt_sink_large *large;	/* NULL: no unit is wanted */
	struct pt_page_ranges marks;	/* pages that cannot be read, for sync
					 * and commit */
	struct pt_sink_whole *whole;	/* the buffer of pieces, if it has
					 * complete and is fit */
	void (*completed)(void *arg, __u64 page, const void *bytes);	/* see
					 * pt_sink_fill; NULL */
	void *completed_arg;
};

/* pt_pieces_advance drops the first sz bytes of the *cnt pieces. */
static inline void pt_pieces_advance(struct iovec **pieces, __u32 *cnt,
				     __u64 sz)
{
	while (sz) {
		struct iovec *piece = *pieces;
		size_t part = sz < piece->iov_len ? sz : piece->iov_len;

		piece->iov_base = (__u8 *)piece->iov_base + part;
		piece->iov_len -= part;
		sz -= part;
		if (!piece->iov_len) {
			++*pieces;
			--*cnt;
		}
	}
}

#endif
