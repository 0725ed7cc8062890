/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* quota: what a memory that a sender announces costs the receiver, in the bytes
 * that --max-memory bounds: its pages, each whole, and the tables that are kept
 * of it as far as they are above a 256th of that.  Many small segments cost a
 * table of a region each, however few pages they have.
 * And what files cost.
 *
 * Pure: numbers in, numbers out.
 */
#ifndef RECEIVE_QUOTA_H
#define RECEIVE_QUOTA_H

#include "memory/layout.h"

#define PT_QUOTA_REGION_SZ	2304	/* generations, bits, digest of a region */
#define PT_QUOTA_SEGMENT_SZ	256	/* its place and name, twice */
#define PT_QUOTA_TABLES_SHARE	256	/* tables are free up to this part ... */
#define PT_QUOTA_TABLES_FREE	65536	/* ... of the pages, and to so much */

/* pt_quota_memory_sz returns the bytes; ~0: more than can be counted.  Segments
 * need not make a layout. */
__u64 pt_quota_memory_sz(const struct pt_segment *segs, __u32 cnt);

/* pt_quota_file_sz: what a file that comes along costs of --max-files: its bytes
 * in whole pages, and a page more, so that many empty ones cost, too.  ~0: more
 * than can be counted. */
__u64 pt_quota_file_sz(__u64 sz);

#endif
