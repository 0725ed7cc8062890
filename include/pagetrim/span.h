/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* span: bytes owned elsewhere; a frame in several RX descriptors is a list of
 * spans, in order. */
#ifndef PAGETRIM_SPAN_H
#define PAGETRIM_SPAN_H

#include <linux/types.h>

#define PT_SPANS_MAX	18	/* descriptors of one frame: 17 fragments + 1 */

struct pt_span {
	const void *base;
	__u32 sz;		/* bytes */
};

#endif
