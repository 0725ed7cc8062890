/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stream_copy: copies blocks past the cache, to memory that is not read soon.
 *
 * It takes half the time of a memcpy(3) into mapped memory, since lines that
 * are written whole need not be read first (measured, 4096 bytes: 0.17 us
 * against 0.37).  It has variants in AVX2 and AVX-512; the widest that the CPU
 * supports is chosen once, before main() runs; without either it is memcpy(3).
 * Pure functions: any thread.
 */
#ifndef SINK_STREAM_COPY_H
#define SINK_STREAM_COPY_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/* pt_stream_copy_fn copies sz bytes, without overlap, at any alignment; it is
 * fastest to a multiple of 64, and in multiples of 64 bytes.  Other threads may
 * not read them before pt_stream_copy_end. */
typedef void pt_stream_copy_fn(void *to, const void *from, size_t sz);

/* pt_stream_copy_chosen: the variant of this CPU; constant after start. */
extern pt_stream_copy_fn *pt_stream_copy_chosen;

static inline void pt_stream_copy(void *to, const void *from, size_t sz)
{
	pt_stream_copy_chosen(to, from, sz);
}

/* pt_stream_copy_end orders this thread's copies before its later accesses. */
void pt_stream_copy_end(void);

/* pt_stream_copy_variant: one way to copy, for tests. */
struct pt_stream_copy_variant {
	const char *name;	/* "portable", "avx2", "avx512" */
	pt_stream_copy_fn *copy; /* may only be called if is_supported */
	bool is_supported;	/* by this CPU and this kernel */
};

/* pt_stream_copy_variants returns the *cnt variants of this build. */
const struct pt_stream_copy_variant *pt_stream_copy_variants(unsigned *cnt);

#endif
