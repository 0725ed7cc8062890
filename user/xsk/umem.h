/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* umem: the memory of an AF_XDP socket's chunks, in pages of which size.
 *
 * Ownership: mapped here, registered with the kernel by xsk, which pins it.
 * Threads: none. */
#ifndef PT_XDP_UMEM_H
#define PT_XDP_UMEM_H

#include <stddef.h>
#include <linux/types.h>
#include <pagetrim/error.h>

/* PT_HUGEPAGES: X(SYMBOL, name); name is what people say and are told.  The
 * first is what a cfg of zeroes means. */
#define PT_HUGEPAGES(X)							\
	X(THP,	"thp")	/* where the kernel has some at hand */		\
	X(OFF,	"off")	/* none */					\
	X(ON,	"on")	/* of the pool that was reserved (hugetlb) */	\
	X(AUTO,	"auto")	/* a wish only: ON, or THP if the pool lacks some */

enum pt_hugepages {
#define X(SYMBOL, name) PT_HUGEPAGES_##SYMBOL,
	PT_HUGEPAGES(X)
#undef X
};

const char *pt_hugepages_name(enum pt_hugepages h);

struct pt_umem {
	__u8 *base;		/* aligned to 2 MiB, but with OFF */
	size_t sz;		/* bytes; a multiple of 2 MiB with ON */
	enum pt_hugepages got;	/* never AUTO */
};

/* pt_umem_map maps at least sz bytes, zeroed and there already.  On success
 * *out is the caller's, to pt_umem_unmap.
 *   -ENOMEM  no memory; with ON: the pool has not enough, err says how many it
 *            has and what would work */
int pt_umem_map(struct pt_umem *out, size_t sz, enum pt_hugepages wish,
		struct pt_error *err);
void pt_umem_unmap(struct pt_umem *u);

#endif
