/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* process_rooms: the segments of a process that maps memory while it is sent: its
 * mappings, and the address space around them, in which others may come.
 *
 *     mappings         |--heap--|           |anon|  |-lib-|            |stack|
 *     segments  |-room-|--heap--|-room-|-room-|anon|room|-lib-|-room-|-room-|stack|
 *
 * A room has up to room_sz bytes, or all between two mappings if that is at most
 * twice as much.  Nothing comes behind the last mapping. */
#ifndef SOURCE_PROCESS_ROOMS_H
#define SOURCE_PROCESS_ROOMS_H

#include "source/process_maps.h"

#define PT_ROOM_NAME	"[room]"

/* pt_process_rooms_make makes the table, which is the caller's, to free(3).  Room is
 * left out above PT_SEGMENTS_MAX.  -ENOMEM. */
int pt_process_rooms_make(struct pt_segment **out, __u32 *cnt,
			  const struct pt_process_maps *m, __u64 room_sz);

/* pt_process_rooms_lack returns the first address of a mapping that is in no
 * segment; ~0: there is none. */
__u64 pt_process_rooms_lack(const struct pt_segment *segs, __u32 cnt,
			    const struct pt_process_maps *m);

#endif
