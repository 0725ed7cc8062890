// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/wp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pagetrim/wire.h>

/* Newer than the headers of Linux 6.1. */
#define WP_FEATURES	(1ULL << 12 | 1ULL << 13 | 1ULL << 15)
			/* WP_HUGETLBFS_SHMEM, WP_UNPOPULATED, WP_ASYNC */
#define USER_MODE_ONLY	1

struct page_run {
	__u64 start, end, categories;
};

struct scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask;
	__u64 return_mask;
};

#define PAGEMAP_SCAN		_IOWR('f', 16, struct scan_arg)
#define SCAN_WP_MATCHING	1
#define SCAN_CHECK_WPASYNC	2
#define PAGE_IS_WRITTEN		2
#define PAGE_IS_PRESENT		8
#define PAGE_IS_SWAPPED		16	/* or protected, and not there yet */
#define PAGE_IS_HUGE		64

#define CHUNK_SZ	((__u64)PT_REGION_SZ)	/* a page table's */
/* A chunk has at most half as many runs as pages.  With a vector of more than
 * 512 runs, walk_end would not be that of the last one (Linux 6.18). */
#define RUNS		(PT_REGION_PAGES / 2)
#define PROTECT_SZ	(64 * CHUNK_SZ)	/* so long the target's mmap(2) waits */

int pt_wp_uffd(void)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY);

	return fd < 0 ? -errno : fd;
}

static int handshake(int uffd)
{
	struct uffdio_api api = { .api = UFFD_API, .features = WP_FEATURES };

	return ioctl(uffd, UFFDIO_API, &api) ? -errno : 0;
}

int pt_wp_register(const struct pt_wp *wp, __u64 start, __u64 end)
{
	struct uffdio_register arg = {
		.range = { .start = start, .len = end - start },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	return ioctl(wp->uffd, UFFDIO_REGISTER, &arg) ? -errno : 0;
}

/* scan returns how many runs it stored. */
static int scan(const struct pt_wp *wp, struct scan_arg *arg,
		struct page_run *runs, __u32 cnt)
{
	int got;

	arg->size = sizeof(*arg);
	arg->flags |= SCAN_CHECK_WPASYNC;
	arg->vec = (__u64)(unsigned long)runs;
	arg->vec_len = cnt;
	got = ioctl(wp->pagemap, PAGEMAP_SCAN, arg);
	return got < 0 ? -errno : got;
}

/* scan_written: the kernel takes its fast path for these masks alone, and only
 * there it counts the empty entries of a page table as written. */
static int scan_written(const struct pt_wp *wp, struct scan_arg *arg,
			struct page_run *runs, __u32 cnt)
{
	arg->category_mask = arg->return_mask = PAGE_IS_WRITTEN;
	return scan(wp, arg, runs, cnt);
}

/* scan_pages: an empty entry counts as written, so it is left out if only pages
 * that are there are wanted. */
static int scan_pages(const struct pt_wp *wp, struct scan_arg *arg,
		      struct page_run *runs, __u32 cnt, enum pt_wp_pages pages)
{
	if (pages == PT_WP_THERE)
		arg->category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
	return scan_written(wp, arg, runs, cnt);
}

/* lacks reports a failure; is_old: the kernel's age is its cause. */
static int lacks(const char *what, int code, bool is_old, struct pt_error *err)
{
	if (is_old)
		return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "this "
				    "kernel has no %s (Linux 6.7 or newer has)",
				    what);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s", what,
			    strerror(-code));
}

static int no_uffd(int code, struct pt_error *err)
{
	return lacks("userfaultfd", code, code == -ENOSYS, err);
}

static int no_features(int code, struct pt_error *err)
{
	return lacks("asynchronous write protection", code, code == -EINVAL,
		     err);
}

/* look scans memory of ours that was never touched. */
static int look(int uffd, bool *sees_missing, struct pt_error *err)
{
	struct pt_wp wp = { .uffd = uffd };
	struct scan_arg at = { .start = 0 };
	struct page_run run;
	__u8 *map;
	int code;

	wp.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (wp.pagemap < 0)
		return lacks("/proc/self/pagemap", -errno, false, err);
	map = mmap(NULL, 2 * CHUNK_SZ, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	code = map == MAP_FAILED ? -ENOMEM : 0;
	/* A whole chunk has no page table. */
	at.start = ((__u64)(unsigned long)map + CHUNK_SZ - 1) / CHUNK_SZ *
		   CHUNK_SZ;
	at.end = at.start + CHUNK_SZ;
	if (!code)
		code = pt_wp_register(&wp, at.start, at.end);
	if (!code)
		code = scan_written(&wp, &at, &run, 1);
	close(wp.pagemap);
	if (map != MAP_FAILED)
		munmap(map, 2 * CHUNK_SZ);
	if (code < 0)
		return lacks("PAGEMAP_SCAN", code, code == -ENOTTY, err);
	*sees_missing = code == 1 && run.end - run.start == CHUNK_SZ;
	return 0;
}

int pt_wp_offered(bool *sees_missing, struct pt_error *err)
{
	int fd = pt_wp_uffd(), code;

	if (fd < 0)
		return no_uffd(fd, err);
	code = handshake(fd);
	code = code ? no_features(code, err) : look(fd, sees_missing, err);
	close(fd);
	return code;
}

int pt_wp_open(struct pt_wp *wp, pid_t pid, int uffd, struct pt_error *err)
{
	char path[64];
	int code;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	wp->pid = pid;
	wp->uffd = uffd;
	wp->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (wp->pagemap < 0) {
		code = errno == ENOENT ? -ESRCH : -errno;
		close(uffd);
		return pt_error_set(err, PT_EXIT_HOST, code, "process %d: its "
				    "pagemap cannot be opened: %s", pid,
				    strerror(-code));
	}
	code = handshake(uffd);
	if (code) {
		pt_wp_close(wp);
		return no_features(code, err);
	}
	return 0;
}

void pt_wp_close(struct pt_wp *wp)
{
	close(wp->uffd);
	close(wp->pagemap);
}

/* protect protects what is not there. */
static int protect(const struct pt_wp *wp, __u64 start, __u64 end)
{
	while (start < end) {
		__u64 sz = end - start < PROTECT_SZ ? end - start : PROTECT_SZ;
		struct uffdio_writeprotect arg = {
			.range = { .start = start, .len = sz },
			.mode = UFFDIO_WRITEPROTECT_MODE_WP,
		};

		if (ioctl(wp->uffd, UFFDIO_WRITEPROTECT, &arg) == 0)
			start += sz;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return 0;
}

/* take_missing protects the pages that are neither there nor protected, and then
 * reports them.  A scan for written pages does not find a page of hugetlbfs
 * that was written and then unmapped, and on some kernels no memory without a
 * page table. */
static int take_missing(const struct pt_wp *wp, __u64 start, __u64 end,
			pt_wp_report *fn, void *arg)
{
	struct page_run runs[RUNS];

	while (start < end) {
		struct scan_arg at = {
			.start = start, .end = end,
			.category_inverted = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
			.category_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
			.return_mask = PAGE_IS_HUGE,
		};
		int got = scan(wp, &at, runs, RUNS);

		if (got <= 0)
			return got;
		for (int i = 0; i < got; i++) {
			int code = protect(wp, runs[i].start, runs[i].end);

			if (code)
				return code;
			if (fn)
				fn(arg, runs[i].start, runs[i].end, true);
		}
		start = got == RUNS ? runs[got - 1].end : end;
	}
	return 0;
}

int pt_wp_arm(const struct pt_wp *wp, __u64 start, __u64 end,
	      enum pt_wp_pages pages)
{
	for (__u64 at = start; at < end; at += PROTECT_SZ) {
		struct scan_arg arg = { .flags = SCAN_WP_MATCHING, .start = at,
			.end = end - at < PROTECT_SZ ? end : at + PROTECT_SZ };
		int code = scan_pages(wp, &arg, NULL, 0, pages);

		if (code < 0)
			return code;
	}
	return pages == PT_WP_THERE
		? 0 : take_missing(wp, start, end, NULL, NULL);
}

/* is_coarse: the run, which was taken, is one large page, or none of its pages
 * is there. */
static bool is_coarse(const struct pt_wp *wp, const struct page_run *run)
{
	struct scan_arg at = {
		.start = run->start, .end = run->end,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_HUGE,
	};
	struct page_run now;

	return run->end - run->start == CHUNK_SZ &&
	       scan(wp, &at, &now, 1) == 1 &&
	       now.end - now.start == CHUNK_SZ &&
	       now.categories != PAGE_IS_PRESENT;
}

/* chunk_take reports and protects the pages from start to end, which lie in one
 * chunk: no large page is split by that. */
static int chunk_take(const struct pt_wp *wp, __u64 start, __u64 end,
		      enum pt_wp_pages pages, pt_wp_report *fn, void *arg)
{
	struct page_run runs[RUNS];

	while (start < end) {
		struct scan_arg at = { .flags = SCAN_WP_MATCHING,
				       .start = start, .end = end };
		int got = scan_pages(wp, &at, runs, RUNS, pages);

		if (got < 0)
			return got;
		for (int i = 0; i < got; i++)
			fn(arg, runs[i].start, runs[i].end,
			   is_coarse(wp, &runs[i]));
		if (at.walk_end <= start)
			return -EOPNOTSUPP;	/* a part of a page */
		start = at.walk_end;
	}
	return 0;
}

int pt_wp_collect(const struct pt_wp *wp, __u64 start, __u64 end,
		  enum pt_wp_pages pages, pt_wp_report *fn, void *arg)
{
	__u64 from = start;

	while (from < end) {
		struct scan_arg at = { .start = from, .end = end,
				       .max_pages = 1 };
		struct page_run first;
		__u64 stop;
		int got = scan_pages(wp, &at, &first, 1, pages);

		if (got < 0)
			return got;
		if (!got)
			break;
		at.start = first.start / CHUNK_SZ * CHUNK_SZ;
		from = from > at.start ? from : at.start;
		stop = at.start + CHUNK_SZ;
		stop = stop < end ? stop : end;
		got = chunk_take(wp, from, stop, pages, fn, arg);
		if (got)
			return got;
		from = stop;
	}
	return pages == PT_WP_THERE ||
	       (pages == PT_WP_SMALL && wp->sees_missing)
		? 0 : take_missing(wp, start, end, fn, arg);
}
