/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* umem: the memory of an AF_XDP socket's chunks, in small or huge pages.
 *
 * Ownership: mapped here; xsk registers it with the kernel, which pins it.
 * Threads: any one. */
#ifndef XSK_UMEM_H
#define XSK_UMEM_H

#include <stddef.h>
#include <linux/types.h>
#include <pagetrim/error.h>

/* PT_HUGEPAGES: X(SYMBOL, name); name is the option's word, also in reports.
 * The first is the default of a zeroed cfg. */
#define PT_HUGEPAGES(X)							\
	X(THP,	"thp")	/* transparent, where the kernel has free ones */		\
	X(OFF,	"off")	/* none */					\
	X(ON,	"on")	/* from the reserved pool (hugetlb) */	\
	X(AUTO,	"auto")	/* ON, or THP if the pool lacks pages */

enum pt_hugepages {
#define X(SYMBOL, name) PT_HUGEPAGES_##SYMBOL,
	PT_HUGEPAGES(X)
#undef X
};

const char *pt_hugepages_name(enum pt_hugepages h);

struct pt_umem {
	__u8 *base;		/* aligned to 2 MiB, except with OFF */
	size_t sz;		/* bytes; a multiple of 2 MiB with ON */
	enum pt_hugepages got;	/* never AUTO */
};

/* pt_umem_map maps at least sz bytes, zeroed and populated.  On success *out is
 * the caller's, to pt_umem_unmap.
 *   -ENOMEM  no memory; with ON: the pool has not enough, err says how many it
 *            has and what would work */
int pt_umem_map(struct pt_umem *out, size_t sz, enum pt_hugepages wish,
		struct pt_error *err);
void pt_umem_unmap(struct pt_umem *u);

#endif
