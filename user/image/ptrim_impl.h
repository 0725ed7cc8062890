/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ptrim_impl: the internals that the ptrim*.c share. */
#ifndef IMAGE_PTRIM_IMPL_H
#define IMAGE_PTRIM_IMPL_H

#include "image/ptrim.h"

struct pt_ptrim {
	char *path;
	int fd;
	const __u8 *map;		/* the first map_sz bytes of the file */
	__u64 map_sz;
	__u64 data_at;
	struct pt_ptrim_header header;
	struct pt_layout *layout;
	struct pt_ptrim *parent;
	_Atomic __u8 *tables;		/* by region: enum table_state */
};

/* pt_ptrim_has: the sz bytes at off are in the file, behind its front. */
static inline bool pt_ptrim_has(const struct pt_ptrim *p, __u64 off, __u64 sz)
{
	return off >= p->data_at && off <= p->map_sz && sz <= p->map_sz - off;
}

/* pt_ptrim_open_at opens one image; depth: how many of its chain are open. */
int pt_ptrim_open_at(struct pt_ptrim **out, const char *path, const char *parent,
		     unsigned int depth, struct pt_error *err);

#endif
