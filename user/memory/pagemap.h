/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pagemap: finds pages by /proc/PID/pagemap, without a read of one word per
 * page.  Threads: no state. */
#ifndef MEMORY_PAGEMAP_H
#define MEMORY_PAGEMAP_H

#include <linux/types.h>
#include <stdbool.h>

/* pt_pagemap_next returns the address of the first page in [start, end), whole
 * pages, that may be there: present, swapped, or marked; else end.  Its time does
 * not grow with address space that has no page tables.  Where the kernel cannot
 * tell (before Linux 6.7) it returns start. */
__u64 pt_pagemap_next(int pagemap, __u64 start, __u64 end);

/* pt_pagemap_has_own returns 1 if a page in [start, end) is the process's own memory,
 * present or swapped: no file's, and not the page of zeroes; else 0; -errno: the kernel
 * cannot tell (before Linux 6.7). */
int pt_pagemap_has_own(int pagemap, __u64 start, __u64 end);

/* pt_pagemap_missing returns how many bytes of [start, end) are in pages that are
 * neither present nor swapped. */
__u64 pt_pagemap_missing(int pagemap, __u64 start, __u64 end);

/* pt_pagemap_large finds the next pages in [*from, end) that a large page maps, 2 MiB
 * or more, all of them [*from, *to); not the one page of zeroes that all unwritten
 * memory shares.  1: found; 0: there are none; -errno: the kernel
 * cannot tell (before Linux 6.7). */
int pt_pagemap_large(int pagemap, __u64 *from, __u64 end, __u64 *to);

/* pt_pagemap_unmapped returns how many of the pages in [start, end) are not mapped:
 * neither a page nor a large one; -errno as above. */
__s64 pt_pagemap_unmapped(int pagemap, __u64 start, __u64 end);

/* pt_pagemap_is_marked: no page is there in [start, end), shared memory of a file, and
 * each has a mark in the page tables. */
bool pt_pagemap_is_marked(int pagemap, __u64 start, __u64 end);

/* pt_pagemap_has_marks: one of them has one. */
bool pt_pagemap_has_marks(int pagemap, __u64 start, __u64 end);

/* pt_pagemap_poisoned sets the bits, one for each page from start on, of the pages in
 * [start, end) that UFFDIO_POISON has marked, at most 512; the others it clears.  They
 * are not touched.  pagemap must have been opened with CAP_SYS_ADMIN: else it finds none
 * but those of hugetlbfs, of which it reads a byte through mem, the process's memory, to
 * know.  -errno: the kernel cannot tell (before Linux 6.7), or /proc is closed to us. */
int pt_pagemap_poisoned(int pagemap, int mem, __u64 start, __u64 end, __u64 bits[8]);

#endif
