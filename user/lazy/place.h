/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* place: the ways in which a userfaultfd of another process settles its pages.
 * Every call wakes the threads that wait for them.  Threads: any.
 * Source: Linux Documentation/admin-guide/mm/userfaultfd.rst, ioctl_userfaultfd(2). */
#ifndef LAZY_PLACE_H
#define LAZY_PLACE_H

#include <linux/types.h>
#include <stdbool.h>

/* Results: how many bytes from addr on are settled, or
 *   -EAGAIN  the address space changes: events must be read first
 *   -ESRCH   the process ended
 *   -ENOENT  nothing is mapped there any more, or it is not registered
 *   -EFAULT  the page is behind the end of the file that is mapped there
 *   -ENOMEM, -ENOSPC, ...  no memory for a page
 * Pages that are there already stay as they are, and are settled: *there counts their
 * bytes. */
long pt_place_copy(int uffd, __u64 addr, const void *from, __u64 sz, __u64 page_sz,
		   __u64 *there);
long pt_place_zero(int uffd, __u64 addr, __u64 sz, __u64 page_sz, __u64 *there);

/* pt_place_poison: a read or write there raises SIGBUS from now on.  Besides:
 *   -EOPNOTSUPP  the kernel cannot (before Linux 6.6) */
long pt_place_poison(int uffd, __u64 addr, __u64 page_sz, __u64 *there);

/* pt_place_continue maps a page that is in the file already. */
long pt_place_continue(int uffd, __u64 addr, __u64 page_sz);

int pt_place_wake(int uffd, __u64 addr, __u64 sz);
int pt_place_unregister(int uffd, __u64 addr, __u64 sz);

/* pt_place_is_uffd: the descriptor is a userfaultfd. */
bool pt_place_is_uffd(int fd);

/* pt_place_is_gone: the address space behind it has ended.  It asks for a copy from
 * where nothing can be read, so nothing is placed; false if it is not known. */
bool pt_place_is_gone(int uffd);

/* pt_place_features stores what was asked for by UFFDIO_API (UFFD_FEATURE_ bits);
 * false: it cannot be seen. */
bool pt_place_features(int uffd, __u64 *out);

#endif
