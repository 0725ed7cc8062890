/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* blast: what the blast's program and its XDP program agree on. */
#ifndef PT_BENCH_BLAST_H
#define PT_BENCH_BLAST_H

#include <linux/types.h>

#define BLAST_ETHERTYPE		0x88b5	/* IEEE 802: local experiments */
#define BLAST_QUEUES_MAX	64

#endif
