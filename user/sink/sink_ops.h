/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_ops: what a kind of sink implements; for the files of kinds, and for tests.
 * A kind embeds struct pt_sink as its first member.
 *
 * off: bytes in the layout's image, where segments stand back to back, each on a
 * multiple of 4096.
 */
#ifndef SINK_SINK_OPS_H
#define SINK_SINK_OPS_H

#include <sys/uio.h>
#include "sink/sink.h"

struct pt_sink_whole;

/* All return 0 or -errno with err filled, unless they say otherwise. */
struct pt_sink_ops {
	/* Makes it ready for the pages of l, which outlives it, and sets
	 * sink->sz. */
	int (*fit)(struct pt_sink *s, const struct pt_layout *l,
		   struct pt_error *err);
	/* Writes the cnt pieces, sz bytes in all, one behind the other from off
	 * on; may change the array.  By any thread, each its own pages; so for
	 * all of the next. */
	int (*place)(struct pt_sink *s, __u64 off, struct iovec *pieces,
		     __u32 cnt, __u64 sz, struct pt_error *err);
	/* Instead of place, of a sink that takes whole pages alone: 4096 bytes at
	 * page, for off.  Pieces of pages are kept elsewhere until then.  sink->sz
	 * is a multiple of 4096. */
	int (*complete)(struct pt_sink *s, __u64 off, const void *page,
			struct pt_error *err);
	/* Makes sz bytes zero. */
	int (*zero)(struct pt_sink *s, __u64 off, __u64 sz,
		    struct pt_error *err);
	/* Reads sz bytes; nothing is filled by that. */
	int (*read)(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		    struct pt_error *err);
	/* The page at off as memory, to read; NULL, also here: it is none, or
	 * not to be touched. */
	const __u8 *(*see)(const struct pt_sink *s, __u64 off);
	/* See pt_sink_fault; NULL: no memory of its own. */
	int (*fault)(const struct pt_sink *s, const void *addr,
		     struct pt_error *err);
	int (*sync)(struct pt_sink *s, struct pt_error *err); /* or NULL */
	int (*commit)(struct pt_sink *s, struct pt_error *err); /* or NULL */
	/* Small files beside the memory, and what stays after a failure: of
	 * files alone, else NULL. */
	int (*file_begin)(struct pt_sink *s, const char *name, __u64 sz,
			  struct pt_error *err);
	int (*file_write)(struct pt_sink *s, const void *bytes, __u64 sz,
			  struct pt_error *err);
	bool (*is_kept)(const struct pt_sink *s);
	void (*invalidate)(struct pt_sink *s);
	void (*close)(struct pt_sink *s);
};

struct pt_sink {
	const struct pt_sink_ops *ops;
	const struct pt_layout *layout;	/* NULL before fit */
	__u64 sz;			/* bytes it takes, set by fit: the
					 * image's, or up to its last page's end */
	bool starts_zero;		/* at fit all pages are */
	bool may_wait;			/* see pt_sink_may_wait */
	struct pt_sink_whole *whole;	/* if it has complete, and is fit */
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
