/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A queue's memory, in pages of each kind; and the errors for a pool of huge
 * pages that lacks some. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "scratch.h"
#include "xsk/umem.h"

#define HUGE_SZ	(2ul << 20)
#define WANT_SZ	(8ul << 20)	/* as a queue has */

static unsigned long pool_says(const char *what)
{
	unsigned long cnt = 0;
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", what);
	file = fopen(path, "r");
	if (!file)
		return 0;
	assert_int_equal(fscanf(file, "%lu", &cnt), 1);
	fclose(file);
	return cnt;
}

static unsigned long pool_free(void)
{
	return pool_says("free_hugepages") - pool_says("resv_hugepages");
}

/* pool_kib returns the KiB of the mapping at base in huge pages. */
static unsigned long pool_kib(const void *base)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, kib = 0;
	bool is_it = false;
	char line[512];

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-", &start) == 1 && strchr(line, '-'))
			is_it = start == (unsigned long)base;
		else if (is_it)
			sscanf(line, "Private_Hugetlb: %lu", &kib);
	}
	fclose(smaps);
	return kib;
}

static void check_memory(const struct pt_umem *u)
{
	assert_true(u->sz >= WANT_SZ);
	assert_int_equal((unsigned long)u->base % HUGE_SZ, 0);
	for (size_t off = 0; off < u->sz; off += 512)
		assert_int_equal(u->base[off], 0);
	memset(u->base, 0xa5, u->sz);
}

static const enum pt_hugepages without_pool[] = {
	PT_HUGEPAGES_THP, PT_HUGEPAGES_OFF,
};

static void test_without_pool(void **state)
{
	enum pt_hugepages wish = *(const enum pt_hugepages *)*state;
	unsigned long before = pool_free();
	struct pt_umem u;
	unsigned char resident[WANT_SZ / 4096];

	assert_int_equal(pt_umem_map(&u, WANT_SZ, wish, NULL), 0);
	assert_int_equal(u.got, wish);
	assert_int_equal(mincore(u.base, WANT_SZ, resident), 0);
	for (size_t i = 0; i < sizeof(resident); i++)
		assert_true(resident[i] & 1);	/* there already */
	check_memory(&u);
	assert_int_equal(pool_free(), before);
	pt_umem_unmap(&u);
	pt_umem_unmap(&u);
}

/* drain reserves the pool, but for left pages. */
static void *drain(unsigned long left, size_t *sz)
{
	unsigned long have = pool_free();
	void *at;

	*sz = have > left ? (have - left) * HUGE_SZ : 0;
	if (!*sz)
		return NULL;
	at = mmap(NULL, *sz, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static void test_pool_lacks_some(void **state)
{
	struct pt_error err = { 0 };
	struct pt_umem u = { 0 };
	char want[64];
	size_t sz;
	void *held = drain(3, &sz);
	unsigned long left = pool_free();

	(void)state;
	assert_true(left <= 3);
	assert_int_equal(pt_umem_map(&u, WANT_SZ, PT_HUGEPAGES_ON, &err),
			 -ENOMEM);
	assert_null(u.base);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	snprintf(want, sizeof(want), "and %lu of %lu are free", left,
		 pool_says("nr_hugepages"));
	assert_non_null(strstr(err.text, want));
	snprintf(want, sizeof(want), "vm.nr_hugepages=%lu",
		 pool_says("nr_hugepages") + 4 - left);
	assert_non_null(strstr(err.text, want));
	assert_non_null(strstr(err.text, "hugepages thp works"));

	assert_int_equal(pt_umem_map(&u, WANT_SZ, PT_HUGEPAGES_AUTO, NULL), 0);
	assert_int_equal(u.got, PT_HUGEPAGES_THP);
	check_memory(&u);
	assert_int_equal(pool_free(), left);
	pt_umem_unmap(&u);
	if (held)
		munmap(held, sz);
}

static void test_pool_has_enough(void **state)
{
	static const enum pt_hugepages wishes[] = {
		PT_HUGEPAGES_ON, PT_HUGEPAGES_AUTO,
	};
	unsigned long before;

	(void)state;
	if (!scratch_huge(4)) {
		print_message("this machine gives no huge pages: tested "
			      "without\n");
		return;
	}
	before = pool_free();
	for (int i = 0; i < 2; i++) {
		struct pt_umem u;

		assert_int_equal(pt_umem_map(&u, WANT_SZ, wishes[i], NULL), 0);
		assert_int_equal(u.got, PT_HUGEPAGES_ON);
		assert_int_equal(pool_free(), before - 4);
		assert_int_equal(pool_kib(u.base), WANT_SZ >> 10);
		check_memory(&u);
		pt_umem_unmap(&u);
		assert_int_equal(pool_free(), before);
	}
	scratch_huge(-4);
}

/* A size that is no multiple of huge pages is rounded up. */
static void test_rounds_up(void **state)
{
	struct pt_umem u;

	(void)state;
	if (!scratch_huge(1))
		return;
	assert_int_equal(pt_umem_map(&u, 64 * 4096, PT_HUGEPAGES_ON, NULL), 0);
	assert_int_equal(u.sz, HUGE_SZ);
	pt_umem_unmap(&u);
	scratch_huge(-1);
}

static void test_too_much(void **state)
{
	struct pt_error err = { 0 };
	struct pt_umem u;

	(void)state;
	assert_int_equal(pt_umem_map(&u, 1ul << 46, PT_HUGEPAGES_THP, &err),
			 -ENOMEM);
	assert_non_null(strstr(err.text, "no memory"));
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(pt_hugepages_name(PT_HUGEPAGES_OFF), "off");
	assert_string_equal(pt_hugepages_name(PT_HUGEPAGES_THP), "thp");
	assert_string_equal(pt_hugepages_name(PT_HUGEPAGES_ON), "on");
	assert_string_equal(pt_hugepages_name(PT_HUGEPAGES_AUTO), "auto");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "thp", test_without_pool, NULL, NULL,
		  (void *)&without_pool[0] },
		{ "off", test_without_pool, NULL, NULL,
		  (void *)&without_pool[1] },
		cmocka_unit_test(test_pool_lacks_some),
		cmocka_unit_test(test_pool_has_enough),
		cmocka_unit_test(test_rounds_up),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
