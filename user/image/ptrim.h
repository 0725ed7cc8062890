/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ptrim: an image at rest, opened: mapped, and any page found in O(1).
 *
 *     ptrim    the file and those of its chain of parents   any thread
 *     reader   what decompresses, and the last units        one thread each
 *
 * The file is not trusted: each structure is checked before it is used, and a page
 * behind a damaged one is PT_PTRIM_LOST, never other bytes.  Opening reads the
 * header and the segments; a region's page table is checked when its first page is
 * read, a unit when it is decompressed.
 *
 * Memory: 5 bytes per region; a reader 3 MiB for each image of the chain.
 */
#ifndef IMAGE_PTRIM_H
#define IMAGE_PTRIM_H

#include "image/format.h"

struct pt_ptrim;
struct pt_ptrim_reader;

#define PT_PTRIM_TAIL	".ptrim"

/* pt_ptrim_is_name: path ends as the name of an image at rest must, where raw images
 * are possible, too.  The bytes do not decide: a guest chooses those of its memory. */
bool pt_ptrim_is_name(const char *path);

/* pt_ptrim_open opens the image and its parents.  parent: where its parent is; NULL:
 * beside it, by the name that it has.  The parents of that one are always beside it.
 *   -EINVAL  not an image; of another version; its header or its segments are
 *            damaged; a chain of more than PT_PTRIM_CHAIN_MAX
 *   -ESTALE  the parent is another one
 *   or as the system says */
int pt_ptrim_open(struct pt_ptrim **out, const char *path, const char *parent,
		  struct pt_error *err);
void pt_ptrim_close(struct pt_ptrim *p);	/* NULL: nothing */

const struct pt_layout *pt_ptrim_layout(const struct pt_ptrim *p);

/* pt_ptrim_header: as in the file, checked.  pt_ptrim_parent: NULL: none. */
const struct pt_ptrim_header *pt_ptrim_header(const struct pt_ptrim *p);
const struct pt_ptrim *pt_ptrim_parent(const struct pt_ptrim *p);
const char *pt_ptrim_path(const struct pt_ptrim *p);
__u64 pt_ptrim_sz(const struct pt_ptrim *p);	/* bytes that the file has now */

/* pt_ptrim_id_check reads all bytes of the file: 1, they are those that were written;
 * 0, they are not; -ENOMEM, or what read(2) says. */
int pt_ptrim_id_check(const struct pt_ptrim *p, struct pt_error *err);

/* pt_ptrim_entry: a page by the image itself, not by its parents. */
struct pt_ptrim_entry {
	enum pt_ptrim_state state;	/* or PT_PTRIM_LOST */
	__u32 slot;			/* of DATA; so is at */
	__u64 at;
};

/* pt_ptrim_look finds a page.  pt_ptrim_alike: if the file states one state for the
 * whole region, that one, else PT_PTRIM_STATES. */
struct pt_ptrim_entry pt_ptrim_look(const struct pt_ptrim *p, __u64 page_idx);
enum pt_ptrim_state pt_ptrim_alike(const struct pt_ptrim *p, __u64 region_idx);

/* pt_ptrim_digest: the digest that a region must have; false: it is damaged. */
bool pt_ptrim_digest(const struct pt_ptrim *p, __u64 region_idx, __u64 *digest);

/* pt_ptrim_bytes: a small file of the image. */
struct pt_ptrim_bytes {
	char name[PT_PTRIM_NAME_SZ];
	__u64 at, sz;		/* in the image's file */
	const __u8 *bytes;	/* in the mapping; NULL: they are damaged */
};

__u32 pt_ptrim_file_cnt(const struct pt_ptrim *p);

/* pt_ptrim_file returns false if there is no such entry that can be read. */
bool pt_ptrim_file(const struct pt_ptrim *p, __u32 idx, struct pt_ptrim_bytes *out);

/* pt_ptrim_reader_create: -ENOMEM. */
int pt_ptrim_reader_create(struct pt_ptrim_reader **out, const struct pt_ptrim *p);
void pt_ptrim_reader_destroy(struct pt_ptrim_reader *r);	/* NULL: nothing */

/* pt_ptrim_read finds a page, in its parents if they have it, and writes its 4096
 * bytes if the state is DATA.  It returns that state, never PARENT; LOST: it is
 * damaged.  A file that is cut short meanwhile is damaged, too. */
enum pt_ptrim_state pt_ptrim_read(struct pt_ptrim_reader *r, __u64 page_idx,
				  void *page);

/* pt_ptrim_failure returns 0 if all pages that r found to be LOST are damaged; else
 * what was the matter with the last that is not:
 *   -EOPNOTSUPP  it is compressed by a method that is not built
 *   -EIO         it cannot be read */
int pt_ptrim_failure(const struct pt_ptrim_reader *r, struct pt_error *err);

#endif
