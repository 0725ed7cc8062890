/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room qstream: QEMU's migration stream.
 *
 *   knows         its header, configuration, commands, and the sections of RAM
 *   may use       no other
 *   must not know sockets, threads, memory
 */
/* qstream: parses QEMU's migration stream, as far as pages can be cut out of it.
 *
 *     head: header, configuration, commands, start of section ram --> READY
 *     then parts of section ram, with PAGE and ZERO, up to END
 *
 * Anything else is STRANGE: no token follows, and the rest of the stream is
 * opaque.  Sections have no length, so that is final.
 *
 *	loop: pt_qstream_next(q, bytes, sz, &t)
 *		MORE: read more bytes behind these
 *		else: drop t.sz bytes
 *
 * Pure: no allocation, no system call; the bytes are not trusted.
 * Source: QEMU's docs/devel/migration, and streams that were taken apart.
 */
#ifndef QSTREAM_QSTREAM_H
#define QSTREAM_QSTREAM_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define PT_QSTREAM_BLOCKS_MAX	256	/* RAM blocks */
#define PT_QSTREAM_NAME_SZ	256	/* of a block, with its NUL */
#define PT_QSTREAM_TOKEN_SZ_MAX	(128u << 10)	/* bytes; MORE is never said of
						 * so many */

enum pt_qstream_kind {
	PT_QSTREAM_MORE,	/* the token is not complete; sz is 0 */
	PT_QSTREAM_OTHER,	/* a piece of the head, or of a section's frame */
	PT_QSTREAM_READY,	/* the last piece of the head */
	PT_QSTREAM_HELD,	/* a command that may follow all pages */
	PT_QSTREAM_PAGE,	/* block, off and page are set */
	PT_QSTREAM_ZERO,	/* block and off are set */
	PT_QSTREAM_END,		/* the last piece of the end of section ram */
	PT_QSTREAM_STRANGE,	/* sz is 0 */
};

struct pt_qstream_token {
	enum pt_qstream_kind kind;
	size_t sz;		/* bytes of the token */
	__u32 block;
	__u64 off;		/* of the page, bytes into its block */
	const __u8 *page;	/* 4096 bytes, among those given */
};

struct pt_qstream_block {
	char name[PT_QSTREAM_NAME_SZ];
	__u64 sz;		/* bytes, a multiple of 4096, > 0 */
};

/* Types of sections. */
#define PT_QSTREAM_SECTION_PART	2
#define PT_QSTREAM_SECTION_END	3

/* pt_qstream: all zero is the start.  The caller reads the first fields. */
struct pt_qstream {
	__u32 block_cnt;	/* known at READY */
	__u32 section_id;	/* of ram */
	__u8 section;		/* the section that STRANGE is in; 0: it is
				 * between two */
	struct pt_qstream_block blocks[PT_QSTREAM_BLOCKS_MAX];
	/* Private. */
	int state;
	bool has_addresses;	/* of the blocks, in their list */
	bool has_block;
	__u32 block;		/* of the last record */
	__u64 left_sz;		/* of the list: bytes of blocks to come */
};

void pt_qstream_next(struct pt_qstream *q, const __u8 *bytes, size_t sz,
		     struct pt_qstream_token *t);

/* ---- the writer: each returns the bytes that it wrote ---- */

#define PT_QSTREAM_SECTION_SZ	5
#define PT_QSTREAM_RECORD_SZ_MAX (8 + PT_QSTREAM_NAME_SZ + 1)	/* no page */
#define PT_QSTREAM_CLOSE_SZ	13

/* pt_qstream_put_section begins a section ram of that type. */
size_t pt_qstream_put_section(__u8 *to, __u8 type, __u32 section_id);

/* pt_qstream_put_record writes a record, without its 4096 bytes if it is a page.
 * The block is named, or (NULL) that of the record before, in the same section. */
size_t pt_qstream_put_record(__u8 *to, const char *name, __u64 off,
			     bool is_zero);

/* pt_qstream_put_close ends the section. */
size_t pt_qstream_put_close(__u8 *to, __u32 section_id);

#endif
