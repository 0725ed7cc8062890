/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* journal: identifies the image that a kept NAME.partial belongs to.
 *
 *      0       4         8       12           16            24       25
 *     +-------+---------+-------+------------+-------------+--------+------
 *     | magic | version |  sz   | segment_cnt| transfer_id | name_sz| name
 *     +-------+---------+-------+------------+-------------+--------+------
 *     then of each segment     then
 *     +----------+---------+   +-----------------------------------+
 *     | gfn    8 | sz    8 |   | XXH3-128 of all that is before it |
 *     +----------+---------+   +-----------------------------------+
 *
 * Numbers are big-endian; sz counts all bytes, the hash included.  Only zeroes
 * may follow it, since the smallest file of a hugetlbfs is a huge page.
 *
 * The journal is written once, before the first page, and holds no progress:
 * the digests show which regions the image holds.  So a crash leaves it whole
 * or absent, and never behind the image.
 * Pure functions: any thread.
 */
#ifndef SINK_JOURNAL_H
#define SINK_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "memory/layout.h"

#define PT_JOURNAL_MAGIC	0x50544a4e	/* "PTJN" */
#define PT_JOURNAL_VERSION	1
#define PT_JOURNAL_NAME_SZ	129		/* of an image, with its NUL */

struct pt_journal {
	char name[PT_JOURNAL_NAME_SZ];	/* as the sender said; may be empty */
	__u64 transfer_id;		/* of the transfer that began it */
	__u32 segment_cnt;		/* 1..PT_SEGMENTS_MAX */
	const struct pt_segment *segments;	/* their names are not stored */
};

/* pt_journal_sz returns the journal's size in bytes. */
size_t pt_journal_sz(const struct pt_journal *j);

/* pt_journal_encode writes pt_journal_sz(j) bytes to buf. */
void pt_journal_encode(const struct pt_journal *j, void *buf);

/* pt_journal_parse parses the bytes of a file.  On success returns 0, and the
 * segments are the caller's, to pt_journal_free.  Else:
 *   -EBADMSG          damaged, cut, or not a journal
 *   -EPROTONOSUPPORT  of another version
 *   -ENOMEM */
int pt_journal_parse(struct pt_journal *out, const void *bytes, size_t sz);
void pt_journal_free(struct pt_journal *j);	/* of pt_journal_parse alone */

/* pt_journal_is_same: both describe one image, by its name and its segments'
 * positions.  The transfers may differ; segment names are not stored. */
bool pt_journal_is_same(const struct pt_journal *a, const struct pt_journal *b);

#endif
