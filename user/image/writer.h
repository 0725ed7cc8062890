/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* writer: makes an image at rest, region by region.
 *
 *     create --> data, same, mark ... --> region --+--> file ... --> commit
 *                   ^                              |
 *                   +------------------------------+
 *
 * It writes NAME.partial, appending only, and last the part in front of the
 * units.  NAME appears at the commit, whole and on the disk.  A page is absent until
 * it is told.
 *
 * Memory: 1.5 MiB, the compressor's, and 8 bytes for each page of a region that was
 * told.  Threads: one at a time.
 */
#ifndef IMAGE_WRITER_H
#define IMAGE_WRITER_H

#include "image/format.h"
#include "wire/compress.h"

struct pt_ptrim_writer;

struct pt_ptrim_writer_cfg {
	const struct pt_layout *layout;		/* outlives the writer */
	enum pt_compression method;
	int level;				/* for zstd */
	__u32 unit_pages;			/* 1..PT_PTRIM_UNIT_PAGES */
	const __u8 *parent_id;			/* NULL: no parent */
	const char *parent_name;		/* at most PT_PTRIM_NAME_SZ */
};

/* pt_ptrim_writer_create makes NAME.partial for path NAME.
 *   -EOPNOTSUPP  the method is not built
 *   or as pt_image_create */
int pt_ptrim_writer_create(struct pt_ptrim_writer **out, const char *path,
			   const struct pt_ptrim_writer_cfg *cfg,
			   struct pt_error *err);

/* pt_ptrim_writer_key: the key of the image's digests. */
__u64 pt_ptrim_writer_key(const struct pt_ptrim_writer *w);

/* pt_ptrim_writer_data stores a page: mask is the set of its blocks that are not
 * zero, and is not 0; content is pt_digest_content of it by the key. */
int pt_ptrim_writer_data(struct pt_ptrim_writer *w, __u64 page_idx, __u64 mask,
			 const __u8 *page, __u64 content, struct pt_error *err);

/* pt_ptrim_writer_same: the page has the content of original, a page that was
 * stored in this image, not in its parent. */
void pt_ptrim_writer_same(struct pt_ptrim_writer *w, __u64 page_idx,
			  __u64 original, __u64 content);

/* pt_ptrim_writer_has: the page was stored, so it may be an original. */
bool pt_ptrim_writer_has(const struct pt_ptrim_writer *w, __u64 page_idx);

/* pt_ptrim_writer_mark: the page has that state; not DATA.  content: that of
 * the parent's page for PARENT, else not used. */
void pt_ptrim_writer_mark(struct pt_ptrim_writer *w, __u64 page_idx,
			  enum pt_ptrim_state state, __u64 content);

/* pt_ptrim_writer_region: all pages of the region were told. */
int pt_ptrim_writer_region(struct pt_ptrim_writer *w, __u64 region_idx,
			   struct pt_error *err);

/* pt_ptrim_writer_file adds a file by the last part of path.
 *   -EINVAL  its name; not a regular file; too many
 *   -EEXIST  a file of that name is in it
 *   or as the system says */
int pt_ptrim_writer_file(struct pt_ptrim_writer *w, const char *path,
			 struct pt_error *err);

/* pt_ptrim_writer_commit gives the file its name.  *sz: its bytes. */
int pt_ptrim_writer_commit(struct pt_ptrim_writer *w, __u64 *sz,
			   struct pt_error *err);

/* pt_ptrim_writer_close removes what was not committed.  NULL: nothing. */
void pt_ptrim_writer_close(struct pt_ptrim_writer *w);

#endif
