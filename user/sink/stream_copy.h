/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stream_copy: copies blocks to memory that nobody reads soon, past the cache.
 *
 * Half the time of a memcpy(3) into memory that is mapped already, since lines
 * that are written whole need not be read first (measured, 4096 bytes: 0.17 us
 * against 0.37).  Variants in AVX2 and AVX-512; the widest that the CPU has is
 * chosen once, before main() runs; without either it is memcpy(3).
 * Pure functions: any thread.
 */
#ifndef PT_MEMORY_STREAM_COPY_H
#define PT_MEMORY_STREAM_COPY_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/* pt_stream_copy_fn: sz bytes from any place to any; best to a multiple of 64,
 * and of 64 bytes; no overlap.  Other threads may not read them before pt_stream_copy_end. */
typedef void pt_stream_copy_fn(void *to, const void *from, size_t sz);

/* pt_stream_copy_chosen: the variant of this CPU.  Nobody writes it after
 * start. */
extern pt_stream_copy_fn *pt_stream_copy_chosen;

static inline void pt_stream_copy(void *to, const void *from, size_t sz)
{
	pt_stream_copy_chosen(to, from, sz);
}

/* pt_stream_copy_end orders what this thread copied before all that it does
 * next. */
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
