/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reach: how long a read of a page takes that is anywhere in a memory.
 *
 *     reach FILE     prints the median of 5 rounds, in ns a read
 *
 * The file is mapped at a multiple of 2 MiB, as a VMM maps its guest's RAM, and its data
 * is populated.  A round reads a word of each page with data, in an order in which each
 * read has to wait for the one before, so that the processor walks page tables.
 */
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096ULL
#define LARGE	(2ULL << 20)
#define ROUNDS	5
#define READS	(1u << 22)	/* of a round */

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static const __u8 *map(int fd, __u64 sz)
{
	__u8 *room = mmap(NULL, sz + LARGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *at;

	if (room == MAP_FAILED)
		fail("mmap");
	at = room + (-(unsigned long)room & (LARGE - 1));
	if (mmap(at, sz, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		fail("mmap");
	return at;
}

/* find_data lists the pages with data, and touches them. */
static __u32 find_data(int fd, __u64 sz, const __u8 *at, __u32 *pages)
{
	off_t off = 0;
	__u32 cnt = 0;

	while ((off = lseek(fd, off, SEEK_DATA)) >= 0 && (__u64)off < sz) {
		off_t end = lseek(fd, off, SEEK_HOLE);

		madvise((void *)(at + off), end - off, MADV_POPULATE_READ);
		for (; off < end; off += PAGE)
			pages[cnt++] = off / PAGE;
	}
	return cnt;
}

static double round_ns(const __u8 *at, const __u32 *pages, __u32 cnt)
{
	struct timespec from, to;
	__u64 x = 1;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (__u32 i = 0; i < READS; i++) {
		__u64 page = pages[(x >> 33) % cnt];

		/* The next place depends on what is read here. */
		x = x * 6364136223846793005ULL + 1442695040888963407ULL +
		    (*(const volatile __u64 *)(at + page * PAGE +
					       (x >> 20 & 511) * 8) & 1);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((to.tv_sec - from.tv_sec) * 1e9 + to.tv_nsec - from.tv_nsec) / READS;
}

static int by_time(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	double times[ROUNDS];
	struct stat st;
	const __u8 *at;
	__u32 *pages, cnt;

	if (fd < 0 || fstat(fd, &st))
		fail(argc == 2 ? argv[1] : "reach FILE");
	at = map(fd, st.st_size);
	pages = calloc(st.st_size / PAGE + 1, sizeof(*pages));
	cnt = pages ? find_data(fd, st.st_size, at, pages) : 0;
	if (!cnt)
		fail("no data");
	for (int i = 0; i < ROUNDS; i++)
		times[i] = round_ns(at, pages, cnt);
	qsort(times, ROUNDS, sizeof(times[0]), by_time);
	printf("%.2f\n", times[ROUNDS / 2]);
	return 0;
}
