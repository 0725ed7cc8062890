/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* digest: sums by which two hosts, or two looks, compare memory.
 *
 *     content  XXH3-64 of a page's 4096 bytes, seed key, where 1 counts as 2;
 *              0 for a page that is all zero; 1 for one that cannot be read
 *     page     XXH3-64 of its content's 8 bytes, big-endian, seed gfn;
 *              0 for content 0
 *     region   sum of its pages       modulo 2^64
 *
 * With sums, pages may come in any order, a replaced page is subtracted, and
 * zero pages cost nothing.  The page digest depends on the position, so that
 * exchanged pages do not cancel out; the content digest does not, so that it
 * finds equal pages.  The key is drawn for each transfer, so that an accidental
 * collision does not repeat in the next one; it is no secret.
 *
 * Variants in portable C and AVX2 (AVX-512 is no faster); the widest that the
 * CPU has is chosen once, before main() runs.  No shared state: any thread.
 */
#ifndef TRIM_DIGEST_H
#define TRIM_DIGEST_H

#include <linux/types.h>
#include <stdbool.h>

/* PT_CONTENT_UNREADABLE: the content digest of a page that cannot be read, which
 * no bytes have. */
#define PT_CONTENT_UNREADABLE	1

/* pt_digest_content_of returns the content digest of bytes with that hash. */
static inline __u64 pt_digest_content_of(__u64 hash)
{
	return hash + (hash == PT_CONTENT_UNREADABLE);
}

/* pt_digest_stream: a page's digest from its bytes in order, piece by piece. It
 * is all zero before its first start, and may be left unfinished. */
struct pt_digest_stream {
	__u8 state[640] __attribute__((aligned(64)));	/* XXH3's */
	__u64 gfn;
	bool has_data;		/* a byte that is not zero was added */
};

/* pt_digest_variant: one implementation.  Its functions may only be called if
 * is_supported. */
struct pt_digest_variant {
	const char *name;	/* "portable", "avx2" */
	bool is_supported;	/* by this CPU and this kernel */
	__u64 (*content)(__u64 key, const void *page);
	void (*start)(struct pt_digest_stream *s, __u64 key, __u64 gfn);
	void (*add)(struct pt_digest_stream *s, const void *bytes, __u32 sz);
	__u64 (*end)(const struct pt_digest_stream *s);
};

/* pt_digest_chosen: the variant of this CPU, constant after start. */
extern const struct pt_digest_variant *pt_digest_chosen;

/* pt_digest_variants returns the *cnt variants of this build. */
const struct pt_digest_variant *pt_digest_variants(unsigned int *cnt);

/* pt_digest_content returns the content digest of the 4096 bytes at page, which
 * may have any alignment. */
static inline __u64 pt_digest_content(__u64 key, const void *page)
{
	return pt_digest_chosen->content(key, page);
}

/* pt_digest_at returns the page digest of page gfn from its content digest. */
__u64 pt_digest_at(__u64 content, __u64 gfn);

/* pt_digest_page returns the page digest of page gfn from its bytes. */
static inline __u64 pt_digest_page(__u64 key, __u64 gfn, const void *page)
{
	return pt_digest_at(pt_digest_content(key, page), gfn);
}

/* pt_digest_unreadable returns the page digest of page gfn, which cannot be read. */
static inline __u64 pt_digest_unreadable(__u64 gfn)
{
	return pt_digest_at(PT_CONTENT_UNREADABLE, gfn);
}

/* pt_digest_start begins page gfn.  pt_digest_add adds its next sz bytes, NULL:
 * zeroes; 0..4096, and no more than 4096 in all.  pt_digest_end returns the
 * digest once all 4096 are in: pt_digest_page's. */
static inline void pt_digest_start(struct pt_digest_stream *s, __u64 key,
				   __u64 gfn)
{
	pt_digest_chosen->start(s, key, gfn);
}

static inline void pt_digest_add(struct pt_digest_stream *s, const void *bytes,
				 __u32 sz)
{
	pt_digest_chosen->add(s, bytes, sz);
}

static inline __u64 pt_digest_end(const struct pt_digest_stream *s)
{
	return pt_digest_chosen->end(s);
}

#endif
