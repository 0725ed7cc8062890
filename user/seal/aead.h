/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* aead: one library's implementation of a cipher, which encrypts and
 * authenticates frames.
 *
 *     pt_aead_key_create --> set --> start --> encrypt ... --> seal
 *                             |        '-----> decrypt ... --> open
 *     pt_aead_key_destroy <-- forget
 *
 * libcrypto (OpenSSL) has every cipher on every CPU.  libipsec-mb, if the
 * program was built with it, has AES-GCM for x86-64 with wide instructions and
 * little cost per frame.  Both produce the same bytes and differ in speed
 * alone.
 *
 * Owner: the creator of a key owns it.  Threads: one thread at a time uses a
 * key; any thread may call the libraries' functions.
 */
#ifndef SEAL_AEAD_H
#define SEAL_AEAD_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/span.h>
#include <pagetrim/wire.h>

#include "seal/cipher.h"

#define PT_AEAD_NONCE_SZ	12

/* pt_aead_key: the head of the library's own struct. */
struct pt_aead_key {
	const struct pt_aead_lib *lib;
};

struct pt_aead_lib {
	const char *name;	/* "libcrypto", "libipsec-mb" */
	const char *(*version)(void);

	/* has: whether this library provides the cipher on this CPU. */
	bool	(*has)(enum pt_cipher cipher);

	/* The functions below call these. */
	int	(*create)(enum pt_cipher cipher, struct pt_aead_key **out);
	void	(*destroy)(struct pt_aead_key *k);
	bool	(*set)(struct pt_aead_key *k, const __u8 *key);
	void	(*forget)(struct pt_aead_key *k);
	void	(*start)(struct pt_aead_key *k, bool is_sending,
			 const __u8 nonce[PT_AEAD_NONCE_SZ],
			 struct pt_span clear);
	void	(*encrypt)(struct pt_aead_key *k, void *to, const void *from,
			   __u32 sz);
	void	(*decrypt)(struct pt_aead_key *k, void *bytes, __u32 sz);
	void	(*seal)(struct pt_aead_key *k, __u8 tag[PT_AUTH_SZ]);
	bool	(*open)(struct pt_aead_key *k, const __u8 tag[PT_AUTH_SZ]);
};

/* pt_aead_libs returns the *cnt libraries of this build, fastest first.
 */
const struct pt_aead_lib *const *pt_aead_libs(unsigned int *cnt);

/* pt_aead_lib_choose returns the fastest library that has the cipher here. */
const struct pt_aead_lib *pt_aead_lib_choose(enum pt_cipher cipher);

/* pt_aead_key_create: *out is the caller's, to pt_aead_key_destroy, and is not
 * set yet.
 *   -ENOTSUP  the library does not provide the cipher
 *   -ENOMEM   no memory */
static inline int pt_aead_key_create(struct pt_aead_key **out,
				     const struct pt_aead_lib *lib,
				     enum pt_cipher cipher)
{
	return lib->create(cipher, out);
}

/* pt_aead_key_destroy wipes and frees the key.  NULL is allowed. */
static inline void pt_aead_key_destroy(struct pt_aead_key *k)
{
	if (k)
		k->lib->destroy(k);
}

/* pt_aead_key_set: key, of pt_cipher_key_sz bytes, stays the caller's.  False:
 * out of memory. */
static inline bool pt_aead_key_set(struct pt_aead_key *k, const __u8 *key)
{
	return k->lib->set(k, key);
}

/* pt_aead_key_forget wipes the key; another can be set. */
static inline void pt_aead_key_forget(struct pt_aead_key *k)
{
	k->lib->forget(k);
}

/* pt_aead_start begins a frame, and forgets one that was not finished.  clear:
 * bytes that the tag covers and that are not encrypted; they are read during
 * the call only. */
static inline void pt_aead_start(struct pt_aead_key *k, bool is_sending,
				 const __u8 nonce[PT_AEAD_NONCE_SZ],
				 struct pt_span clear)
{
	k->lib->start(k, is_sending, nonce, clear);
}

/* pt_aead_encrypt encrypts the bytes at from, which may equal to.  Pieces have
 * any size, 0 included, and come in the order of the frame. */
static inline void pt_aead_encrypt(struct pt_aead_key *k, void *to,
				   const void *from, __u32 sz)
{
	k->lib->encrypt(k, to, from, sz);
}

/* pt_aead_decrypt decrypts in place, in pieces as above. */
static inline void pt_aead_decrypt(struct pt_aead_key *k, void *bytes,
				   __u32 sz)
{
	k->lib->decrypt(k, bytes, sz);
}

/* pt_aead_seal ends a frame of ours and writes its tag. */
static inline void pt_aead_seal(struct pt_aead_key *k, __u8 tag[PT_AUTH_SZ])
{
	k->lib->seal(k, tag);
}

/* pt_aead_open ends a frame of the other end and checks its tag, in a time that
 * does not depend on the tag. */
static inline bool pt_aead_open(struct pt_aead_key *k,
				const __u8 tag[PT_AUTH_SZ])
{
	return k->lib->open(k, tag);
}

#endif
