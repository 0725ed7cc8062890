/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* large_map: large pages of a file by a mapping of our own: a file of a tmpfs, a memfd,
 * or a hugetlbfs's.
 *
 * The kernel makes a large page only where address and file offset are alike modulo
 * 2 MiB.  Threads: any, each for its own bytes. */
#ifndef SINK_LARGE_MAP_H
#define SINK_LARGE_MAP_H

#include <stdbool.h>
#include <linux/types.h>

/* pt_large_map maps the first sz bytes of fd, shared, for reading and writing, at a
 * multiple of 2 MiB; MAP_FAILED, as mmap(2). */
void *pt_large_map(int fd, __u64 sz);

/* pt_large_map_private maps them privately, likewise. */
void *pt_large_map_private(int fd, __u64 sz);

/* pt_large_map_build makes large pages of sz bytes at `at`, both multiples of 2 MiB,
 * with zeroes where nothing was.  collapses: the file system takes small pages, too,
 * as a tmpfs does.  Returns 0, or -errno: not all became one. */
int pt_large_map_build(void *at, __u64 sz, bool collapses);

/* pt_large_map_sz returns how many of the sz bytes at `at` are mapped in large pages;
 * -errno: not known. */
__s64 pt_large_map_sz(const void *at, __u64 sz);

#endif
