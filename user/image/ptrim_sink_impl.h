/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ptrim_sink_impl: the internals that the ptrim_sink*.c share. */
#ifndef IMAGE_PTRIM_SINK_IMPL_H
#define IMAGE_PTRIM_SINK_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "image/ptrim_log.h"
#include "image/ptrim_sink.h"
#include "image/unit.h"
#include "image/writer_impl.h"
#include "lane/copies.h"
#include "sink/sink_ops.h"

#define PARTS		8	/* that write at a time */
#define UNIT_PAGES	8	/* as pack's */
#define UNIT_SZ_MAX	(sizeof(struct pt_ptrim_unit) + \
			 sizeof(((struct pt_unit *)0)->blocks))
#define STATE_PENDING	6ULL	/* state of a page whose unit is not in the file
				 * yet: in its part's maker, in that slot */

/* part: every eighth region: its pages are written and read under its lock. */
struct part {
	pthread_mutex_t lock;
	struct pt_unit_maker maker;
	struct pt_log_note note;	/* of the maker's pages, and of copies */
	struct pt_decompressor *decompressor;
	struct pt_unit unit;		/* read last, ... */
	__u64 unit_at;			/* ... from here; 0: none */
	__u8 bytes[PT_LOG_NOTE_MAX + UNIT_SZ_MAX];
};

/* Pages are numbered as in the raw image: its bytes / 4096. */
struct pt_ptrim_sink {
	struct pt_sink sink;		/* first */
	struct pt_ptrim_writer *w;	/* its file, tables and header */
	_Atomic __u64 at;		/* where the next bytes of the log go */
	__u64 page_cnt;
	_Atomic __u64 *entries;		/* by page, as in a page table */
	__u64 *contents;		/* their digests; 0: zero, or not known */
	struct part *parts;
	pthread_mutex_t copies_lock;
	struct pt_copies copies;
	__u64 file_at, file_left;	/* of the small file that is written */
	struct pt_ptrim_sink_how how;
	atomic_bool has_superseded;	/* a page in the file was written again */
	bool is_synced;
};

struct pt_ptrim_sink *pt_ptrim_sink_of(struct pt_sink *sink);
const struct pt_ptrim_sink *pt_ptrim_sink_of_const(const struct pt_sink *sink);

static inline struct part *part_of(const struct pt_ptrim_sink *s, __u64 page)
{
	return &s->parts[page / PT_REGION_PAGES % PARTS];
}

static inline __u64 entry_of(enum pt_ptrim_state state, __u64 slot, __u64 at)
{
	return (__u64)state << PT_PTRIM_STATE_SHIFT |
	       slot << PT_PTRIM_SLOT_SHIFT | at;
}

/* pt_ptrim_sink_flush writes the part's unit and copies to the file. */
int pt_ptrim_sink_flush(struct pt_ptrim_sink *s, struct part *p,
			struct pt_error *err);

/* pt_ptrim_sink_give_back gives the blocks of units that no page refers to back to the
 * file system, as far as it can.  Nothing is written any more. */
void pt_ptrim_sink_give_back(struct pt_ptrim_sink *s);

/* pt_ptrim_sink_set has a page be as the entry says. */
static inline void pt_ptrim_sink_set(struct pt_ptrim_sink *s, __u64 page,
				     __u64 entry)
{
	__u64 before = atomic_exchange(&s->entries[page], entry);

	if (before >> PT_PTRIM_STATE_SHIFT == PT_PTRIM_DATA)
		atomic_store_explicit(&s->has_superseded, true,
				      memory_order_relaxed);
}

/* pt_ptrim_sink_page reads a page, whose part is locked.  -EIO. */
int pt_ptrim_sink_page(struct pt_ptrim_sink *s, __u64 page, __u8 *to,
		       struct pt_error *err);

/* The operations of sink_ops.h. */
int pt_ptrim_sink_complete(struct pt_sink *sink, __u64 off, const void *bytes,
			   struct pt_error *err);
int pt_ptrim_sink_zero(struct pt_sink *sink, __u64 off, __u64 sz,
		       struct pt_error *err);
int pt_ptrim_sink_read(const struct pt_sink *sink, __u64 off, void *to, __u64 sz,
		       struct pt_error *err);
bool pt_ptrim_sink_data(const struct pt_sink *sink, __u64 off, __u64 *from,
			__u64 *to);
int pt_ptrim_sink_file_begin(struct pt_sink *sink, const char *name, __u64 sz,
			     struct pt_error *err);
int pt_ptrim_sink_file_write(struct pt_sink *sink, const void *bytes, __u64 sz,
			     struct pt_error *err);
int pt_ptrim_sink_sync(struct pt_sink *sink, struct pt_error *err);

#endif
