/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* compression: the methods by which frames may be compressed, as both ends of a
 * connection agree on them.  Pure; any thread. */
#ifndef SESSION_COMPRESSION_H
#define SESSION_COMPRESSION_H

#include <linux/types.h>

#include "channel/messages.h"
#include "wire/compress.h"

/* pt_compression_caps returns HELLO's bits of the methods that are built. */
static inline __u64 pt_compression_caps(void)
{
	__u64 caps = 0;

	for (int m = PT_COMPRESSION_NONE + 1; m < PT_COMPRESSION_CNT; m++)
		if (pt_compression_is_built(m))
			caps |= PT_CAP_COMPRESSION(m);
	return caps;
}

/* pt_compressions_of returns 1 << method of those in both ends' HELLO. */
static inline __u8 pt_compressions_of(__u64 caps)
{
	__u8 methods = 0;

	for (int m = PT_COMPRESSION_NONE + 1; m < PT_COMPRESSION_CNT; m++)
		if (caps & PT_CAP_COMPRESSION(m))
			methods |= 1 << m;
	return methods;
}

/* pt_compressions_built returns the names of this build's methods, for people. */
static inline const char *pt_compressions_built(void)
{
	if (!pt_compression_is_built(PT_COMPRESSION_LZ4))
		return pt_compression_is_built(PT_COMPRESSION_ZSTD)
			? "zstd" : "nothing (built without liblz4 and libzstd)";
	return pt_compression_is_built(PT_COMPRESSION_ZSTD) ? "lz4, zstd"
							    : "lz4";
}

#endif
