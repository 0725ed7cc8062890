/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room rebuild: pages from records.
 *
 *   knows         placing blocks, copies of equal pages, digests of regions, what is
 *                 complete
 *   may use       trim wire memory sink
 *   must not know queues, threads, acknowledgements
 */
/* rebuild: places the contents of frames in the sink, never older over newer.
 *
 * A page has the version of its content: the generation of the frames that brought
 * it, 0 until it is first spoken of.  A record of a lower one is stale.  The pieces
 * of one version, in any order, make the whole page; the old content stays until
 * a piece replaces it.  A page that is known to be zero, and that only zero
 * runs speak of, is never touched and stays a hole.  Where a sink does not start as
 * zero, no page is known to be; pages of a zero run are made zero then.
 *
 * A copy makes its page what its original holds, if that is whole and of the version
 * that the copy names; else the record is refused, and the page stays as it was.
 * Later changes of the original do not change the copy.  A delta likewise changes
 * its page only if that is whole in the version that the delta names.
 *
 *     (held --> import)        what an interrupted transfer left
 *     check --> place          check alone refuses; place cannot
 *
 * A page that the source could not read is zero in the sink, and its digest is that
 * of no content; the sink is told in the end.  It is no original and no base.
 *
 * Memory: 12 bytes and 3 bits a page, but for regions of which only zero runs of
 * all their pages speak; 16 bytes a region.
 * Threads: any number, each with its own regions; no locks.  An original of
 * another thread's region (a wrong sender) is copied as it is at that moment,
 * maybe half of it new: the bytes digested are the bytes written, and no count,
 * version or digest of the original's region is touched.
 */
#ifndef REBUILD_REBUILD_H
#define REBUILD_REBUILD_H

#include <linux/types.h>
#include <stdbool.h>

#include "memory/layout.h"
#include "sink/sink.h"
#include "sink/sink_run.h"
#include "trim/digest.h"
#include "wire/reader.h"

struct pt_rebuild;

/* pt_rebuild_create: layout and sink outlive it.  -ENOMEM. */
int pt_rebuild_create(struct pt_rebuild **out, const struct pt_layout *layout,
		      struct pt_sink *sink, __u64 digest_key);
void pt_rebuild_destroy(struct pt_rebuild *r);

/* pt_held_region: the sink's content of a region before its first frame. */
struct pt_held_region {
	__u64 digests[PT_REGION_PAGES];	/* of its pages; 0 behind the last */
	__u64 has_data[PT_REGION_PAGES / 64]; /* bit: the page is not zero */
};

/* pt_rebuild_held reads a region of the sink's file into pages (2 MiB), and
 * digests it.  It changes nothing.  -EIO: err has the reason. */
int pt_rebuild_held(const struct pt_rebuild *r, __u64 region_idx, __u8 *pages,
		    struct pt_held_region *out, struct pt_error *err);

/* pt_rebuild_import makes what is held of a region its content, of version
 * 0: it stays until a frame replaces it.  Once a region, before its first frame. */
void pt_rebuild_import(struct pt_rebuild *r, __u64 region_idx,
		       const struct pt_held_region *held);

/* pt_rebuild_check returns whether all pages that the frame's records name,
 * originals too, are in the memory.  It leaves the reader before its first
 * record. */
bool pt_rebuild_check(const struct pt_rebuild *r, struct pt_reader *frame);

struct pt_rebuild_counts {
	__u64 placed;		/* records */
	__u64 stale;
	__u64 refused;		/* copies and deltas whose original or base is
				 * not what they name */
	__u64 bytes;		/* of blocks placed */
};

#define PT_REFUSALS_MAX	1024

/* pt_refusals: the pages of copies and deltas that were refused, each pt_record_copy_of its gfn
 * and the frame's version. */
struct pt_refusals {
	__u32 cnt;
	__u64 pages[PT_REFUSALS_MAX];
};

#define PT_SUM_LATER_MAX	16

/* pt_page_sum: the digest of the page that a lane's frames bring now, as far as
 * its pieces came in order, and the pages that became whole otherwise.  All zero:
 * no page.  Private. */
struct pt_page_sum {
	__u64 page_idx;
	__u32 generation;
	__u32 next;		/* the next expected block; 0: none */
	struct pt_digest_stream stream;
	__u32 later_cnt;
	__u64 later[PT_SUM_LATER_MAX];	/* pages to be digested when the run is
					 * flushed */
};

/* pt_rebuild_place places the records of a checked frame whose checksum is
 * right, and adds to counts.  Blocks may stay staged in run, and the frame's
 * bytes in use, until pt_rebuild_flush.  A run is of one rebuild at a time, sum
 * of one lane: pages whose pieces its frames bring in order are digested as
 * they are placed, others are read from the sink as soon as they are whole, at a
 * flush.  refusals has room for one of
 * each record.
 *   -ENOSPC, -EIO  the sink failed, err says why; the frame may be half
 *                  placed, and the transfer is lost */
int pt_rebuild_place(struct pt_rebuild *r, struct pt_sink_run *run,
		     struct pt_page_sum *sum, struct pt_refusals *refusals,
		     struct pt_reader *frame, struct pt_rebuild_counts *counts,
		     struct pt_error *err);

/* pt_rebuild_flush writes the staged blocks, and digests the pages that became
 * whole out of order.  Errors as pt_rebuild_place. */
int pt_rebuild_flush(struct pt_rebuild *r, struct pt_sink_run *run,
		     struct pt_page_sum *sum, struct pt_error *err);

/* pt_rebuild_lack: these pages, of one region, come only after pt_rebuild_fill: until then
 * they have the digest 0.  settle digests what is placed in a region and was not
 * digested on arrival.  After that, and after pt_rebuild_fill, no page is read any more,
 * since its owner may change it: copies and deltas are refused, and digests are of
 * what came.  No page is placed meanwhile.  Errors as pt_sink_lack, pt_sink_fill,
 * pt_rebuild_region_digest. */
int pt_rebuild_lack(struct pt_rebuild *r, __u64 page_idx, __u64 cnt,
		    struct pt_error *err);
int pt_rebuild_settle(struct pt_rebuild *r, __u64 region_idx, struct pt_error *err);
int pt_rebuild_fill(struct pt_rebuild *r, struct pt_error *err);

/* pt_rebuild_region_digest returns the digest of the region's placed and
 * flushed content.  It reads the pages that are not known to be zero, and of which
 * no frame made a whole one: those of a sink that does not start as zero.
 *   -EIO  one cannot be read; err says why */
int pt_rebuild_region_digest(const struct pt_rebuild *r, __u64 region_idx,
			     __u64 *digest, struct pt_error *err);

/* pt_rebuild_page_digests recomputes the digests of a region's pages from the
 * file, to find the one that differs; returns the count of pages, -EIO or
 * -ENOMEM. */
int pt_rebuild_page_digests(const struct pt_rebuild *r, __u64 region_idx,
			    __u64 digests[PT_REGION_PAGES],
			    struct pt_error *err);

/* pt_rebuild_unreadable_next finds the first page from *page_idx on that the source
 * could not read, and returns how many follow each other from there, at most to the
 * end of a region; 0: there is none. */
__u64 pt_rebuild_unreadable_next(const struct pt_rebuild *r, __u64 *page_idx);

#endif
