/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* khugepaged: before Linux 6.4 the kernel's thread of that name makes a large page of tmpfs
 * memory of which some pages are not placed, and fills these with zeroes, although a
 * userfaultfd waits for them.  Whether it comes to a file:
 *
 *     shmem_enabled   deny: never; force: always; else as the file's mount says by huge=,
 *                     and for memory without a mount (memfd) shmem_enabled itself
 *
 * Threads: no state.
 * Source: Linux mm/khugepaged.c and mm/shmem.c; 6.4 has "skip shmem with userfaultfd".
 */
#ifndef LAZY_KHUGEPAGED_H
#define LAZY_KHUGEPAGED_H

#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

/* pt_khugepaged_fills: release as uname(2) has it; shmem_enabled, the file's text, as
 * "always [never]", NULL: this kernel has none; huge, the mount's option, "": it has none,
 * NULL: there is no mount. */
bool pt_khugepaged_fills(const char *release, const char *shmem_enabled,
			 const char *huge);

/* pt_khugepaged_check refuses a file of tmpfs that process pid has mapped.
 *   -EOPNOTSUPP  it fills pages of that */
int pt_khugepaged_check(int fd, pid_t pid, struct pt_error *err);

#endif
