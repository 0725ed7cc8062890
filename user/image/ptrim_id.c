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

/* hash_range hashes the bytes [off, end) of the file; false: it ends before. */
static bool hash_range(EVP_MD_CTX *hash, const struct pt_ptrim *p, __u64 off,
		       __u64 end, __u8 *piece)
{
	while (off < end) {
		__u64 sz = end - off < PIECE_SZ ? end - off : PIECE_SZ;
		ssize_t got = pread(p->fd, piece, sz, off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || EVP_DigestUpdate(hash, piece, got) != 1)
			return false;
		off += got;
	}
	return true;
}

static bool hash_all(EVP_MD_CTX *hash, const struct pt_ptrim *p, __u8 *piece,
		     __u8 *id)
{
	__u64 end = be64toh(p->header.file_sz);

	return EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
	       end == p->map_sz &&
	       hash_range(hash, p, p->data_at, end, piece) &&
	       hash_range(hash, p, sizeof(p->header), p->data_at, piece) &&
	       EVP_DigestUpdate(hash, &p->header,
				offsetof(struct pt_ptrim_header, id)) == 1 &&
	       EVP_DigestFinal_ex(hash, id, NULL) == 1;
}

bool pt_ptrim_id_is_right(const struct pt_ptrim *p)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	__u8 *piece = malloc(PIECE_SZ);
	__u8 id[PT_PTRIM_ID_SZ];
	bool is_right = hash && piece && hash_all(hash, p, piece, id) &&
			!memcmp(id, p->header.id, sizeof(id));

	free(piece);
	EVP_MD_CTX_free(hash);
	return is_right;
}
