// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The id of an image: SHA-256 of all its bytes, what was written last at the end. */
#include "image/ptrim_impl.h"

#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_SZ	(64u << 10)	/* read at once */

/* hash_range hashes the bytes [off, end) of the file: 1; 0: it ends before. */
static int hash_range(EVP_MD_CTX *hash, const struct pt_ptrim *p, __u64 off,
		      __u64 end, __u8 *piece)
{
	while (off < end) {
		__u64 sz = end - off < PIECE_SZ ? end - off : PIECE_SZ;
		ssize_t got = pread(p->fd, piece, sz, off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return 0;
		if (EVP_DigestUpdate(hash, piece, got) != 1)
			return -ENOMEM;
		off += got;
	}
	return 1;
}

static int hash_all(EVP_MD_CTX *hash, const struct pt_ptrim *p, __u8 *piece,
		    __u8 *id)
{
	__u64 end = be64toh(p->header.file_sz);
	int ret;

	if (end != p->map_sz)
		return 0;
	if (EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	ret = hash_range(hash, p, p->data_at, end, piece);
	if (ret > 0)
		ret = hash_range(hash, p, sizeof(p->header), p->data_at, piece);
	if (ret > 0 && (EVP_DigestUpdate(hash, &p->header,
					 offsetof(struct pt_ptrim_header, id)) != 1 ||
			EVP_DigestFinal_ex(hash, id, NULL) != 1))
		return -ENOMEM;
	return ret;
}

int pt_ptrim_id_check(const struct pt_ptrim *p, struct pt_error *err)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	__u8 *piece = malloc(PIECE_SZ);
	__u8 id[PT_PTRIM_ID_SZ];
	int ret = hash && piece ? hash_all(hash, p, piece, id) : -ENOMEM;

	free(piece);
	EVP_MD_CTX_free(hash);
	if (ret < 0)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s: cannot be read: %s",
				    p->path, strerror(-ret));
	return ret && !memcmp(id, p->header.id, sizeof(id));
}
