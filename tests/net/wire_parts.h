/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire_parts: a frame as the test wire sees it: its owner, and the position of
 * each part.  Pure.
 *
 *     outer | header         | auth | records | pad | blocks
 *     0      Ethernet to UDP                                  frame_sz
 */
#ifndef WIRE_PARTS_H
#define WIRE_PARTS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "wire_plan.h"

enum wire_class {
	WIRE_OTHER,		/* not pagetrim's */
	WIRE_PROBE,
	WIRE_DATA,
};

/* wire_classify looks at the first sz bytes of an Ethernet frame; port is the
 * UDP destination port of pagetrim's.  Looks no closer than it must: whether
 * the frame is sound is for the hosts to judge.  Sets *id for WIRE_DATA. */
enum wire_class wire_classify(const void *frame, size_t sz, __u16 port,
			      struct wire_id *id);

/* WIRE_PARTS: X(symbol, name), in the order in which they stand.  In a sealed frame
 * records, pad and blocks cannot be told from the contents that the header has. */
#define WIRE_PARTS(X)		\
	X(OUTER, outer)		\
	X(HEADER, header)	\
	X(AUTH, auth)		\
	X(CONTENTS, contents)	\
	X(RECORDS, records)	\
	X(PAD, pad)		\
	X(BLOCKS, blocks)

enum wire_part {
#define X(symbol, name) WIRE_PART_##symbol,
	WIRE_PARTS(X)
#undef X
	WIRE_PART_CNT
};

#define WIRE_PARTS_ALL	((1u << WIRE_PART_CNT) - 1)
#define WIRE_CUT_MIN	60	/* bytes of the shortest Ethernet frame */

/* wire_parts: part p is the bytes [off[p], off[p + 1]), maybe none. */
struct wire_parts {
	__u32 off[WIRE_PART_CNT + 1];
};

/* wire_parts_find finds the parts of a frame of frame_sz bytes.  Its first sz bytes,
 * with all headers, are at frame.  False: it is none of WIRE_DATA, or its header
 * makes no sense. */
bool wire_parts_find(const void *frame, size_t sz, __u32 frame_sz, __u16 port,
		     struct wire_parts *parts);

/* wire_parts_bit chooses by at (wire_verdict) one of the wanted parts (bits
 * 1 << enum wire_part) that are not empty, each as likely, and in it a bit,
 * counted from the frame's start.  False: they are all empty. */
bool wire_parts_bit(const struct wire_parts *parts, __u32 wanted, __u32 at,
		    enum wire_part *part, __u32 *bit);

/* wire_cut_sz returns the remaining size of a frame by at,
 * WIRE_CUT_MIN..frame_sz - 1 bytes. */
__u32 wire_cut_sz(__u32 frame_sz, __u32 at);

#endif
