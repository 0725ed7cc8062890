/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* psk: pre-shared keys, and the file that holds them.
 *
 * The file has one line for each key, as GnuTLS and QEMU write theirs:
 *
 *	IDENTITY:HEXKEY
 *
 * A sender uses the first; a receiver accepts each, so that senders can take up
 * new keys one after another.  No two have one identity.
 * IDENTITY is 1..PT_PSK_IDENTITY_MAX printable ASCII characters, no blank, no
 * colon, and no '#' first; it travels in clear.  HEXKEY is PT_PSK_KEY_MIN..
 * PT_PSK_KEY_MAX bytes in hexadecimal.  No error text holds any part of the
 * key.  The owner of a struct pt_psk wipes it.
 */
#ifndef TLS_PSK_H
#define TLS_PSK_H

#include <stddef.h>

#include <linux/types.h>

#include <pagetrim/error.h>

#define PT_PSK_IDENTITY_MAX	128	/* bytes */
#define PT_PSK_KEY_MIN		32	/* bytes */
#define PT_PSK_KEY_MAX		64
#define PT_PSK_LINE_SZ_MAX	(PT_PSK_IDENTITY_MAX + 1 + 2 * PT_PSK_KEY_MAX + 2)
#define PT_PSK_CNT_MAX		64	/* keys of a file */
#define PT_PSK_FILE_SZ_MAX	(PT_PSK_CNT_MAX * PT_PSK_LINE_SZ_MAX)

struct pt_psk {
	char	identity[PT_PSK_IDENTITY_MAX + 1];
	__u8	key[PT_PSK_KEY_MAX];
	size_t	key_sz;		/* bytes of key */
};

/* pt_psk_file: the keys of a file, in its order. */
struct pt_psk_file {
	__u32	cnt;		/* 1..PT_PSK_CNT_MAX; 0: not read */
	struct pt_psk all[PT_PSK_CNT_MAX];
};

/* pt_psk_parse reads a file's sz bytes; path is for err.  Pure.
 *   -EINVAL  not in the form above */
int pt_psk_parse(struct pt_psk_file *out, const char *path,
		 const void *text, size_t sz, struct pt_error *err);

/* pt_psk_load reads path, which only its owner, root, and a group that this
 * process belongs to may read.
 *   -EINVAL   as pt_psk_parse, or no regular file
 *   -EPERM    others may read or write it, or its group may write it, or
 *             may read it without being one of this process
 *   or as open(2) and read(2) say */
int pt_psk_load(struct pt_psk_file *out, const char *path,
		struct pt_error *err);

/* pt_psk_find returns the key of that identity, or NULL. */
const struct pt_psk *pt_psk_find(const struct pt_psk_file *keys,
				 const void *identity, size_t sz);

/* pt_psk_make draws a key of PT_PSK_KEY_MIN random bytes.
 *   -EINVAL   identity is not in the form above
 *   -EIO      no randomness */
int pt_psk_make(struct pt_psk *out, const char *identity,
		struct pt_error *err);

/* pt_psk_save creates the file path, mode 0600, and syncs it.  A failure leaves
 * no file.
 *   -EEXIST   path exists (also as a symbolic link): it is never overwritten
 *   or as open(2) and write(2) say */
int pt_psk_save(const struct pt_psk *psk, const char *path,
		struct pt_error *err);

void pt_psk_wipe(struct pt_psk *psk);

#endif
