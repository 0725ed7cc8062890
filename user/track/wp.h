/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wp: asynchronous write protection of one address space (Linux 6.7): a write
 * to a protected page clears the page's protection and goes on, and a scan finds
 * the pages that are not protected.
 *
 *     open --> register --> protect --> collect, collect, ... --> close
 *
 * The kernel lifts all protection when the last descriptor of the userfaultfd is
 * closed, so it does not outlive this process.
 *
 * Threads: one at a time.
 * Source: Linux Documentation/admin-guide/mm/userfaultfd.rst, pagemap.rst.
 */
#ifndef TRACK_WP_H
#define TRACK_WP_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

struct pt_wp {
	pid_t pid;
	int uffd;		/* of that address space */
	int pagemap;		/* /proc/PID/pagemap */
	bool sees_missing;	/* see pt_wp_offered */
};

/* pt_wp_offered returns 0; -EOPNOTSUPP: the kernel lacks some of it; or what it
 * says: -EPERM, -EMFILE, ...  *sees_missing: to this kernel, pages without a page
 * table are written. */
int pt_wp_offered(bool *sees_missing, struct pt_error *err);

/* pt_wp_uffd returns a new userfaultfd of our own address space; -errno. */
int pt_wp_uffd(void);

/* pt_wp_open takes wp->sees_missing as it is, and uffd, a userfaultfd of process pid that was not used yet,
 * and closes it in any case.
 *   -EPERM, -EACCES  /proc/PID/pagemap cannot be opened
 *   -ESRCH           the process ended
 *   -EOPNOTSUPP      the kernel is too old
 *   -EMFILE, -ENOMEM, ... */
int pt_wp_open(struct pt_wp *wp, pid_t pid, int uffd, struct pt_error *err);
void pt_wp_close(struct pt_wp *wp);

/* pt_wp_register takes over a range of mapped memory; a multiple of the size of
 * its pages.  Once more of the same range is allowed.
 *   -EBUSY   another userfaultfd has some of it
 *   -EINVAL  some of it is not mapped
 *   -EPERM   a mapping that cannot be written
 *   -ENOMEM  the process ended, or there is no memory */
int pt_wp_register(const struct pt_wp *wp, __u64 start, __u64 end);

/* pt_wp_pages: how the pages of a range are found. */
enum pt_wp_pages {
	PT_WP_ALL,	/* those that are not there yet are protected, too, which
			 * takes page tables: 8 bytes per page */
	PT_WP_SMALL,	/* likewise; each has 4096 bytes, which saves half of the
			 * time */
	PT_WP_THERE,	/* of private anonymous memory: only those that are there.
			 * One that went is not reported, and one that came is */
};

/* pt_wp_arm protects the pages of a registered range.  Large pages stay large.
 *   -EPERM  some of the range is registered no more */
int pt_wp_arm(const struct pt_wp *wp, __u64 start, __u64 end,
	      enum pt_wp_pages pages);

/* pt_wp_report receives pages in a row.  is_coarse: all 2 MiB are reported since
 * some byte of them was written, or since their page table is gone. */
typedef void pt_wp_report(void *arg, __u64 start, __u64 end, bool is_coarse);

/* pt_wp_collect reports the runs of pages that are not protected, and protects
 * them: together, so that no write falls in between.  Memory that nobody wrote
 * is only read.  Each call has at most 2 MiB, or the pages of a range without
 * page tables.
 *   -EPERM       some of the range is registered no more
 *   -EOPNOTSUPP  pages of more than 2 MiB */
int pt_wp_collect(const struct pt_wp *wp, __u64 start, __u64 end,
		  enum pt_wp_pages pages, pt_wp_report *fn, void *arg);

#endif
