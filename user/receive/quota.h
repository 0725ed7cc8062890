/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* quota: computes the cost of an announced memory at the receiver, in the bytes
 * that --max-memory bounds: its pages, each whole, and the receiver's tables as
 * far as they exceed a 256th of that.  Many small segments cost one region's
 * tables each, even with few pages.  It also computes the cost of files.
 *
 * Pure: numbers in, numbers out.
 */
#ifndef RECEIVE_QUOTA_H
#define RECEIVE_QUOTA_H

#include "memory/layout.h"

#define PT_QUOTA_REGION_SZ	2304	/* generations, bits, digest of a region */
#define PT_QUOTA_SEGMENT_SZ	256	/* its position and name, twice */
#define PT_QUOTA_TABLES_SHARE	256	/* tables are free up to this part ... */
#define PT_QUOTA_TABLES_FREE	65536	/* ... of the pages, and up to this
					 * size */

/* pt_quota_memory_sz returns the bytes; ~0: overflow.  Segments need not form a
 * valid layout. */
__u64 pt_quota_memory_sz(const struct pt_segment *segs, __u32 cnt);

/* pt_quota_file_sz returns the cost of a file for --max-files: its bytes in
 * whole pages, plus one page, so that many empty files cost, too.  ~0:
 * overflow. */
__u64 pt_quota_file_sz(__u64 sz);

#endif
