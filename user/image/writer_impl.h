/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* writer_impl: the internals that the writer*.c share. */
#ifndef IMAGE_WRITER_IMPL_H
#define IMAGE_WRITER_IMPL_H

#include <openssl/evp.h>
#include <xxhash.h>

#include "image/unit.h"
#include "image/writer.h"
#include "sink/image.h"

struct pt_ptrim_writer {
	char *path;			/* for messages */
	struct pt_sink *sink;		/* NAME.partial */
	int fd;				/* the sink's */
	const struct pt_layout *layout;
	__u64 digest_key;
	__u64 *entries;			/* by page_idx, as in the file, in the host's
					 * byte order */
	__u64 entries_sz;		/* bytes mapped */
	struct pt_ptrim_region *regions;	/* as in the file */
	__u64 *digests;			/* of the pages of the present region */
	struct pt_ptrim_header header;
	struct pt_ptrim_file *files;
	__u32 file_cnt;

	struct pt_unit_maker unit;	/* that is being filled */
	__u32 unit_pages;		/* of a full unit */

	__u64 at;			/* where the next byte goes */
	__u8 *buffer;			/* bytes before at, not yet written */
	__u32 buffer_sz;
	EVP_MD_CTX *hash;		/* of all bytes since data_at */
	XXH3_state_t *check;		/* of one structure at a time */
};

/* pt_ptrim_writer_make makes a writer without a file: sink and fd are the caller's to
 * set. */
int pt_ptrim_writer_make(struct pt_ptrim_writer **out, const char *path,
			 const struct pt_ptrim_writer_cfg *cfg,
			 struct pt_error *err);

/* pt_ptrim_writer_table ends a region whose pages' entries and digest are given. */
int pt_ptrim_writer_table(struct pt_ptrim_writer *w, __u64 region_idx,
			  const __u64 *entries, __u64 digest,
			  struct pt_error *err);

/* pt_ptrim_writer_end writes all behind and in front of the units; *sz: the bytes of
 * the file. */
int pt_ptrim_writer_end(struct pt_ptrim_writer *w, __u64 *sz,
			struct pt_error *err);

/* pt_ptrim_writer_append writes sz bytes behind all others. */
int pt_ptrim_writer_append(struct pt_ptrim_writer *w, const void *bytes,
			   __u64 sz, struct pt_error *err);

/* pt_ptrim_writer_flush writes the buffer. */
int pt_ptrim_writer_flush(struct pt_ptrim_writer *w, struct pt_error *err);

/* pt_ptrim_writer_put writes sz bytes at off. */
int pt_ptrim_writer_put(struct pt_ptrim_writer *w, const void *bytes, __u64 sz,
			__u64 off, struct pt_error *err);

#endif
