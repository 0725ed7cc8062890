/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xsk/umem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/mman.h>		/* MAP_HUGE_2MB */

#include "base/madvise.h"

#define HUGE_SZ		(2ul << 20)
#define POOL		"/sys/kernel/mm/hugepages/hugepages-2048kB/"

static const char *const names[] = {
#define X(SYMBOL, name) name,
	PT_HUGEPAGES(X)
#undef X
};

const char *pt_hugepages_name(enum pt_hugepages h)
{
	return names[h];
}

/* pool_says reads a number of the huge page pool; 0 if the kernel has none. */
static unsigned long pool_says(const char *path)
{
	unsigned long cnt = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lu", &cnt) != 1)
		cnt = 0;
	fclose(f);
	return cnt;
}

static int fail_pool(struct pt_error *err, size_t sz)
{
	unsigned long want = sz / HUGE_SZ;
	unsigned long all = pool_says(POOL "nr_hugepages");
	unsigned long free_cnt = pool_says(POOL "free_hugepages");
	unsigned long promised = pool_says(POOL "resv_hugepages");

	free_cnt -= promised < free_cnt ? promised : free_cnt;
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%lu huge pages of 2 "
			    "MiB are needed for a queue, and %lu of %lu are "
			    "free ({hugepages} thp works, or {hugepages} auto; "
			    "sysctl vm.nr_hugepages=%lu makes more)", want,
			    free_cnt, all, all + want -
			    (free_cnt < want ? free_cnt : 0));
}

/* map_pool populates by a system call, since touching the pages may raise
 * SIGBUS: a cgroup or a memory policy may refuse reserved pages. */
static int map_pool(struct pt_umem *u, size_t sz)
{
	sz = (sz + HUGE_SZ - 1) / HUGE_SZ * HUGE_SZ;
	u->base = mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		       MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	if (u->base == MAP_FAILED)
		return -errno;
	if (madvise(u->base, sz, MADV_POPULATE_WRITE)) {
		int ret = -errno;

		munmap(u->base, sz);
		return ret;
	}
	u->sz = sz;
	u->got = PT_HUGEPAGES_ON;
	return 0;
}

/* map_pages aligns the mapping for huge pages and touches it before the kernel
 * pins it. */
static int map_pages(struct pt_umem *u, size_t sz, enum pt_hugepages wish)
{
	__u8 *base = mmap(NULL, sz + HUGE_SZ, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head;

	if (base == MAP_FAILED)
		return -errno;
	head = -(size_t)base % HUGE_SZ;
	if (head)
		munmap(base, head);
	if (head != HUGE_SZ)
		munmap(base + head + sz, HUGE_SZ - head);
	u->base = base + head;
	u->sz = sz;
	u->got = wish == PT_HUGEPAGES_OFF ? wish : PT_HUGEPAGES_THP;
	madvise(u->base, sz, wish == PT_HUGEPAGES_OFF ? MADV_NOHUGEPAGE :
							MADV_HUGEPAGE);
	if (madvise(u->base, sz, MADV_POPULATE_WRITE)) {
		int ret = -errno;

		munmap(u->base, sz);
		return ret;
	}
	return 0;
}

int pt_umem_map(struct pt_umem *out, size_t sz, enum pt_hugepages wish,
		struct pt_error *err)
{
	struct pt_umem u = { 0 };
	int ret = -ENOMEM;

	if (wish == PT_HUGEPAGES_ON || wish == PT_HUGEPAGES_AUTO) {
		ret = map_pool(&u, sz);
		if (ret && wish == PT_HUGEPAGES_ON)
			return fail_pool(err, sz);
	}
	if (ret)
		ret = map_pages(&u, sz, wish);
	if (ret)
		return pt_error_set(err, PT_EXIT_HOST, ret, "no memory for the "
				    "%zu MiB of a queue: %s", sz >> 20,
				    strerror(-ret));
	*out = u;
	return 0;
}

void pt_umem_unmap(struct pt_umem *u)
{
	if (u->base)
		munmap(u->base, u->sz);
	u->base = NULL;
}
