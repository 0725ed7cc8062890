/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* secret: memory of keys: neither swapped out nor part of a core dump, and wiped when
 * it is freed.
 *
 *     pt_secret_begin --> OpenSSL's secure heap: one arena, locked, between guard pages
 *     pt_secret_alloc --> half of it at most, since OpenSSL needs it for its own keys;
 *                         ordinary memory where that is full, or begin was not called
 *
 * An embedder calls CRYPTO_secure_malloc_init(3) in place of pt_secret_begin.
 * Threads: begin in the first; any may allocate. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define PT_SECRET_ARENA_SZ	(4u << 20)	/* bytes */

/* pt_secret_begin makes the arena; false: it is not locked, as RLIMIT_MEMLOCK is below
 * PT_SECRET_ARENA_SZ and CAP_IPC_LOCK is lacking. */
bool pt_secret_begin(void);

/* pt_secret_alloc returns sz bytes of zeroes, aligned to 64, for pt_secret_free; NULL:
 * no memory. */
void *pt_secret_alloc(size_t sz);

/* pt_secret_free wipes and frees the sz bytes; p may be NULL. */
void pt_secret_free(void *p, size_t sz);

#endif
