// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/secret.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN_SZ	64	/* bytes; the arena's least block, too, so that each is
				 * aligned so */

bool pt_secret_begin(void)
{
	return CRYPTO_secure_malloc_init(PT_SECRET_ARENA_SZ, ALIGN_SZ) == 1;
}

void *pt_secret_alloc(size_t sz)
{
	size_t whole_sz = (sz + ALIGN_SZ - 1) / ALIGN_SZ * ALIGN_SZ;
	void *p = NULL;

	if (CRYPTO_secure_malloc_initialized() &&
	    CRYPTO_secure_used() + whole_sz <= PT_SECRET_ARENA_SZ / 2)
		p = OPENSSL_secure_zalloc(whole_sz);
	if (p)
		return p;
	p = aligned_alloc(ALIGN_SZ, whole_sz);
	if (p)
		memset(p, 0, whole_sz);
	return p;
}

void pt_secret_free(void *p, size_t sz)
{
	if (CRYPTO_secure_allocated(p)) {
		OPENSSL_secure_clear_free(p, sz);
	} else if (p) {
		OPENSSL_cleanse(p, sz);
		free(p);
	}
}
