// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/place.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/layout.h"

#define ANY_ADDR	(1ULL << 30)	/* mapped or not */

/* Newer than the headers of Linux 6.1. */
struct poison_arg {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};

#define POISON	_IOWR(UFFDIO, 0x08, struct poison_arg)

/* settled turns the result of one call into ours.  done: bytes, or -errno, as the
 * kernel stored them. */
static long settled(int uffd, int ret, __s64 done, __u64 addr, __u64 page_sz,
		    __u64 *there)
{
	int code = errno;

	if (!ret || done > 0)
		return done;
	if (code != EEXIST)
		return -code;
	/* The thread that waits may have come too late for the call before. */
	pt_place_wake(uffd, addr, page_sz);
	*there += page_sz;
	return page_sz;
}

long pt_place_copy(int uffd, __u64 addr, const void *from, __u64 sz, __u64 page_sz,
		   __u64 *there)
{
	struct uffdio_copy arg = {
		.dst = addr, .src = (__u64)(unsigned long)from, .len = sz,
	};
	int ret = ioctl(uffd, UFFDIO_COPY, &arg);

	return settled(uffd, ret, arg.copy, addr, page_sz, there);
}

long pt_place_zero(int uffd, __u64 addr, __u64 sz, __u64 page_sz, __u64 *there)
{
	struct uffdio_zeropage arg = { .range = { .start = addr, .len = sz } };
	int ret = ioctl(uffd, UFFDIO_ZEROPAGE, &arg);

	return settled(uffd, ret, arg.zeropage, addr, page_sz, there);
}

long pt_place_poison(int uffd, __u64 addr, __u64 page_sz, __u64 *there)
{
	struct poison_arg arg = { .range = { .start = addr, .len = page_sz } };
	int ret = ioctl(uffd, POISON, &arg);

	/* An unknown command is -EINVAL. */
	if (ret && (errno == EINVAL || errno == ENOTTY))
		return -EOPNOTSUPP;
	return settled(uffd, ret, arg.updated, addr, page_sz, there);
}

long pt_place_continue(int uffd, __u64 addr, __u64 page_sz)
{
	struct uffdio_continue arg = { .range = { .start = addr, .len = page_sz } };
	__u64 there = 0;
	int ret = ioctl(uffd, UFFDIO_CONTINUE, &arg);

	return settled(uffd, ret, arg.mapped, addr, page_sz, &there);
}

int pt_place_wake(int uffd, __u64 addr, __u64 sz)
{
	struct uffdio_range range = { .start = addr, .len = sz };

	return ioctl(uffd, UFFDIO_WAKE, &range) ? -errno : 0;
}

int pt_place_unregister(int uffd, __u64 addr, __u64 sz)
{
	struct uffdio_range range = { .start = addr, .len = sz };

	return ioctl(uffd, UFFDIO_UNREGISTER, &range) ? -errno : 0;
}

bool pt_place_is_uffd(int fd)
{
	char path[40], to[64];
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	got = readlink(path, to, sizeof(to) - 1);
	if (got < 0)
		return false;
	to[got] = '\0';
	return !strcmp(to, "anon_inode:[userfaultfd]");
}

bool pt_place_is_gone(int uffd)
{
	void *none = mmap(NULL, PT_PAGE_SZ, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct uffdio_copy arg = {
		.dst = ANY_ADDR, .src = (__u64)(unsigned long)none,
		.len = PT_PAGE_SZ,
	};
	bool is_gone;

	if (none == MAP_FAILED)
		return false;
	is_gone = ioctl(uffd, UFFDIO_COPY, &arg) && errno == ESRCH;
	munmap(none, PT_PAGE_SZ);
	return is_gone;
}

bool pt_place_features(int uffd, __u64 *out)
{
	char path[40], line[96];
	unsigned long long features;
	bool is_found = false;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", uffd);
	in = fopen(path, "re");
	while (in && !is_found && fgets(line, sizeof(line), in))
		is_found = sscanf(line, "API: %*x:%llx:", &features) == 1;
	if (in)
		fclose(in);
	if (is_found)
		*out = features;
	return is_found;
}
