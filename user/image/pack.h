/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pack: makes an image at rest of a source that is still.
 *
 * A page goes as: absent where the source knows it to be a hole, zero, the same as in
 * the parent, the same as a page before it, data.  Copies are found by a table of at
 * most 8 MiB (lane/copies.h) and compared byte for byte.  One thread.
 */
#ifndef IMAGE_PACK_H
#define IMAGE_PACK_H

#include "image/ptrim.h"
#include "image/writer.h"
#include "source/source.h"

/* Pages of a unit.  Sixteen make a guest's image 1.2 % smaller by zstd, and take twice
 * the time to read a page. */
#define PT_PACK_UNIT_PAGES	8

struct pt_pack_cfg {
	enum pt_compression method;
	int level;			/* for zstd */
	const char *parent;		/* an image at rest; NULL: none */
	const char *const *files;	/* that come along */
	__u32 file_cnt;
	/* progress returns false to end it.  Regions; NULL: none. */
	bool (*progress)(void *arg, __u64 done, __u64 cnt);
	void *arg;
};

struct pt_pack_result {
	__u64 memory_sz;		/* bytes */
	__u64 image_sz;			/* bytes of the file */
	__u64 pages[PT_PTRIM_STATES];	/* by state; data includes copies */
	__u64 copy_cnt;
	__u64 zeroed_cnt;		/* unreadable ones that were taken for zero */
};

/* pt_pack packs the source to path.  table: the segments whose bytes lie back to back
 * in the source's only segment (see layout.h); NULL: the source's own.  A page that
 * cannot be read is treated as pt_source_on_unreadable was told.
 *   -EINVAL  the source's bytes are not those of the table
 *   -ECANCELED  progress ended it; nothing is left
 *   or as the source, the writer and the parent say */
int pt_pack(const char *path, struct pt_source *src, const struct pt_layout *table,
	    const struct pt_pack_cfg *cfg, struct pt_pack_result *out,
	    struct pt_error *err);

#endif
