/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* digest_body: the one source of all variants of the digest.  XXH_VECTOR, if
 * set, selects the instructions for which <xxhash.h> is compiled.
 */
#ifndef TRIM_DIGEST_BODY_H
#define TRIM_DIGEST_BODY_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdint.h>
#include <string.h>
#include <pagetrim/check.h>
#include <pagetrim/wire.h>
#include "trim/digest.h"

#ifdef __x86_64__
extern const struct pt_digest_variant pt_digest_avx2;
#endif

#ifndef BODY_LEAVE
#define BODY_LEAVE()	/* called last by each function of a variant */
#endif

/* has_data: the first word mostly decides. */
static bool has_data(const __u8 *bytes, __u32 sz)
{
	__u64 word;

	for (; sz >= sizeof(word); sz -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		if (word)
			return true;
		bytes += sizeof(word);
	}
	while (sz)
		if (bytes[--sz])
			return true;
	return false;
}

static __u64 body_content(__u64 key, const void *page)
{
	__u64 content = has_data(page, PT_PAGE_SZ)
		? pt_digest_content_of(XXH3_64bits_withSeed(page, PT_PAGE_SZ,
							    key)) : 0;

	BODY_LEAVE();
	return content;
}

static XXH3_state_t *state_of(const struct pt_digest_stream *s)
{
	_Static_assert(sizeof(XXH3_state_t) <= sizeof(s->state), "room");
	return (XXH3_state_t *)s->state;
}

static void body_start(struct pt_digest_stream *s, __u64 key, __u64 gfn)
{
	pt_check(!((uintptr_t)s % _Alignof(XXH3_state_t)));
	s->gfn = gfn;
	s->has_data = false;
	XXH3_64bits_reset_withSeed(state_of(s), key);
	BODY_LEAVE();
}

static void body_add(struct pt_digest_stream *s, const void *bytes, __u32 sz)
{
	static const __u8 zeroes[PT_PAGE_SZ];

	pt_check(sz <= PT_PAGE_SZ);
	if (bytes && !s->has_data)
		s->has_data = has_data(bytes, sz);
	XXH3_64bits_update(state_of(s), bytes ? bytes : zeroes, sz);
	BODY_LEAVE();
}

static __u64 body_end(const struct pt_digest_stream *s)
{
	__u64 content = s->has_data
		? pt_digest_content_of(XXH3_64bits_digest(state_of(s))) : 0;

	BODY_LEAVE();
	return pt_digest_at(content, s->gfn);
}

#define DIGEST_BODY			\
	.content = body_content,	\
	.start = body_start,		\
	.add = body_add,		\
	.end = body_end

#endif
