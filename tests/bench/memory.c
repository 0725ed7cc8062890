// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* memory: what this machine's memory does with an image when nothing is sent:
 * the limits of whoever has to look at it and copy it.
 *
 *	memory FILE
 *
 *     read   every byte into a register, by the widest loop this CPU has
 *     scan   pt_scan() of every page
 *     copy   memcpy of every page to memory that was touched before
 *
 * All on an anonymous copy of FILE in pages of 4 KiB, one thread, by turns; one
 * JSON object with the medians of REPEATS, in seconds of the thread's CPU time,
 * so that what else the machine does counts less.
 */
#include <errno.h>
#include <fcntl.h>
#include <immintrin.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "trim/scan.h"

#define PAGE_SZ		4096u
#define REPEATS		9	/* odd: the median is one of them */

static __u64 sink;	/* keeps the loops' results alive */

static __attribute__((noreturn)) void die(const char *what)
{
	fprintf(stderr, "memory: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ------------------------------------------------------------- the readers */

static __u64 read_portable(const __u8 *memory, size_t sz)
{
	__u64 any[4] = { 0 };

	for (size_t i = 0; i < sz; i += 32) {
		const __u64 *word = (const void *)(memory + i);

		for (unsigned int j = 0; j < 4; j++)
			any[j] |= word[j];
	}
	return any[0] | any[1] | any[2] | any[3];
}

#ifdef __x86_64__
__attribute__((target("avx2")))
static __u64 read_avx2(const __u8 *memory, size_t sz)
{
	__m256i any[4] = { 0 };

	for (size_t i = 0; i < sz; i += 128)
		for (unsigned int j = 0; j < 4; j++)
			any[j] = _mm256_or_si256(any[j], _mm256_load_si256(
				(const void *)(memory + i + 32 * j)));
	any[0] = _mm256_or_si256(_mm256_or_si256(any[0], any[1]),
				 _mm256_or_si256(any[2], any[3]));
	return !_mm256_testz_si256(any[0], any[0]);
}

__attribute__((target("avx512f")))
static __u64 read_avx512(const __u8 *memory, size_t sz)
{
	__m512i any[4] = { 0 };

	for (size_t i = 0; i < sz; i += 256)
		for (unsigned int j = 0; j < 4; j++)
			any[j] = _mm512_or_si512(any[j], _mm512_load_si512(
				memory + i + 64 * j));
	any[0] = _mm512_or_si512(_mm512_or_si512(any[0], any[1]),
				 _mm512_or_si512(any[2], any[3]));
	return _mm512_test_epi64_mask(any[0], any[0]);
}
#endif

struct reader {
	const char *name;
	__u64 (*read)(const __u8 *memory, size_t sz);
	bool is_supported;
};

/* The readers of this CPU; their number goes to *cnt. */
static const struct reader *readers(unsigned int *cnt)
{
	static struct reader all[] = {
		{ "portable", read_portable, true },
#ifdef __x86_64__
		{ "avx2", read_avx2, false },
		{ "avx512", read_avx512, false },
#endif
	};

#ifdef __x86_64__
	all[1].is_supported = __builtin_cpu_supports("avx2");
	all[2].is_supported = __builtin_cpu_supports("avx512f");
#endif
	*cnt = sizeof(all) / sizeof(all[0]);
	return all;
}

/* -------------------------------------------------------------- the memory */

static __u8 *anonymous(size_t sz)
{
	__u8 *memory = mmap(NULL, sz, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("memory");
	(void)madvise(memory, sz, MADV_NOHUGEPAGE);
	if (madvise(memory, sz, MADV_POPULATE_WRITE))
		die("memory");
	return memory;
}

/* The image, its size rounded down to pages and stored in *sz. */
static __u8 *load(const char *path, size_t *sz)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	__u8 *memory;
	size_t got = 0;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	*sz = st.st_size / PAGE_SZ * PAGE_SZ;
	if (!*sz) {
		errno = EINVAL;
		die(path);
	}
	memory = anonymous(*sz);
	while (got < *sz) {
		ssize_t n = read(fd, memory + got, *sz - got);

		if (n <= 0)
			die(path);
		got += n;
	}
	close(fd);
	return memory;
}

/* ------------------------------------------------------------- the timing */

static double time_read(const struct reader *r, const __u8 *memory, size_t sz)
{
	double start = cpu_s();

	sink += r->read(memory, sz);
	return cpu_s() - start;
}

static double time_scan(const __u8 *memory, size_t sz)
{
	double start = cpu_s();

	for (size_t i = 0; i < sz; i += PAGE_SZ)
		sink += pt_scan(memory + i);
	return cpu_s() - start;
}

static double time_copy(__u8 *to, const __u8 *memory, size_t sz)
{
	double start = cpu_s();

	for (size_t i = 0; i < sz; i += PAGE_SZ)
		memcpy(to + i, memory + i, PAGE_SZ);
	return cpu_s() - start;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *s)
{
	qsort(s, REPEATS, sizeof(*s), by_size);
	return s[REPEATS / 2];
}

int main(int argc, char **argv)
{
	double scan[REPEATS], copy[REPEATS], read[4][REPEATS];
	unsigned int cnt, best = 0;
	const struct reader *r = readers(&cnt);
	__u8 *memory, *to;
	size_t sz;

	if (argc != 2) {
		fprintf(stderr, "Usage: memory FILE\n");
		return 2;
	}
	memory = load(argv[1], &sz);
	to = anonymous(sz);
	for (int i = 0; i < REPEATS; i++) {
		for (unsigned int j = 0; j < cnt; j++)
			if (r[j].is_supported)
				read[j][i] = time_read(&r[j], memory, sz);
		scan[i] = time_scan(memory, sz);
		copy[i] = time_copy(to, memory, sz);
	}
	for (unsigned int j = 0; j < cnt; j++)
		if (r[j].is_supported && median(read[j]) < median(read[best]))
			best = j;
	printf("{\"bytes\": %zu, \"read_s\": %.6f, \"read_by\": \"%s\", "
	       "\"scan_s\": %.6f, \"scan_by\": \"%s\", \"copy_s\": %.6f, "
	       "\"sum\": %llu}\n", sz, median(read[best]), r[best].name,
	       median(scan), pt_scan_name(), median(copy),
	       (unsigned long long)sink);
	return 0;
}
