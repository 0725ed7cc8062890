// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lazy/latency.h"
#include "lazy/record.h"

#define P	4096ULL

/* Two regions of 100 and 28 pages, whose order in the image is the other one. */
static struct pt_lazy_record *make(int *fd)
{
	struct pt_lazy_region regions[] = {
		{ .addr = 1000 * P, .sz = 28 * P, .off = 0, .page_sz = P },
		{ .addr = 100 * P, .sz = 100 * P, .off = 28 * P, .page_sz = P },
	};
	struct pt_lazy_record *r;

	assert_int_equal(pt_lazy_regions_check(regions, 2, 128 * P, NULL), 0);
	*fd = pt_lazy_record_make(&r, 128, "id", NULL);
	assert_true(*fd >= 0);
	assert_false(r->is_begun);
	pt_lazy_record_begin(r, regions, 2);
	assert_true(r->is_begun);
	assert_int_equal(r->page_cnt, 128);
	assert_int_equal(r->pending_cnt, 128);
	return r;
}

static void test_settle(void **state)
{
	int fd;
	struct pt_lazy_record *r = make(&fd);

	(void)state;
	assert_int_equal(pt_lazy_settle(r, 60, 10), 10);
	assert_int_equal(pt_lazy_settle(r, 60, 10), 0);
	assert_int_equal(pt_lazy_settle(r, 0, 64), 60);
	assert_int_equal(r->pending_cnt, 58);
	assert_int_equal(pt_lazy_next_pending(r, 0), 70);
	assert_int_equal(pt_lazy_next_pending(r, 71), 71);
	pt_lazy_settle(r, 70, 58);
	assert_int_equal(pt_lazy_next_pending(r, 0), 128);
	assert_int_equal(r->pending_cnt, 0);
	pt_lazy_record_close(r);
	close(fd);
}

static void test_finds(void **state)
{
	int fd;
	struct pt_lazy_record *r = make(&fd);
	__u64 page;

	(void)state;
	assert_int_equal(pt_lazy_region_of(r, 99)->addr, 100 * P);
	assert_int_equal(pt_lazy_region_of(r, 100)->addr, 1000 * P);
	assert_int_equal(pt_lazy_region_at(r, 199 * P)->addr, 100 * P);
	assert_null(pt_lazy_region_at(r, 200 * P));
	assert_null(pt_lazy_region_at(r, 99 * P));
	assert_null(pt_lazy_region_at(r, 1028 * P));
	assert_true(pt_lazy_page_find(r, 0, &page));
	assert_int_equal(page, 100);
	assert_true(pt_lazy_page_find(r, 28, &page));
	assert_int_equal(page, 0);
	assert_false(pt_lazy_page_find(r, 128, &page));
	pt_lazy_record_close(r);
	close(fd);
}

/* A removal may be of parts of regions, and of what is between them. */
static void test_remove(void **state)
{
	int fd;
	struct pt_lazy_record *r = make(&fd);

	(void)state;
	assert_int_equal(pt_lazy_remove(r, 0, 100 * P), 0);
	assert_int_equal(pt_lazy_remove(r, 199 * P, 1002 * P), 3);
	assert_false(pt_lazy_is_pending(r, 99));
	assert_false(pt_lazy_is_pending(r, 101));
	assert_true(pt_lazy_is_pending(r, 98));
	assert_true(pt_lazy_is_pending(r, 102));
	assert_int_equal(pt_lazy_remove(r, 100 * P + 1, 102 * P - 1), 0);
	assert_int_equal(pt_lazy_remove(r, 0, ~0ULL), 125);
	pt_lazy_record_close(r);
	close(fd);
}

static void test_opened_again(void **state)
{
	int fd;
	struct pt_lazy_record *r = make(&fd), *again;

	(void)state;
	pt_lazy_settle(r, 3, 5);
	r->pending_cnt = 7;	/* as a server that was killed may leave it */
	pt_lazy_record_close(r);
	assert_int_equal(pt_lazy_record_open(&again, fd, "other", NULL), -ESTALE);
	assert_int_equal(pt_lazy_record_open(&again, fd, "id", NULL), 0);
	assert_int_equal(again->pending_cnt, 123);
	again->magic++;
	pt_lazy_record_close(again);
	assert_int_equal(pt_lazy_record_open(&again, fd, "id", NULL), -EINVAL);
	close(fd);
}

/* A number that another process wrote into the memfd. */
static const struct wrong {
	const char *name;
	size_t at;		/* of a number of 8 bytes */
	__u64 value;
	int code;
} wrongs[] = {
#define W(field, value, code) \
	{ #field " is " #value, offsetof(struct pt_lazy_record, field), value, code }
	W(magic, 0, -EINVAL),
	W(page_max, 129 + 64, -EINVAL),		/* more than there is room for */
	W(page_max, ~0ULL, -EINVAL),
	W(page_max, 65, -EPERM),		/* the same room, fewer than pages */
	W(page_cnt, 127, -EPERM),
	W(page_cnt, ~0ULL, -EPERM),
	W(regions[0].first, 1, -EPERM),
	W(regions[1].first, 1ULL << 60, -EPERM),
	W(regions[0].sz, 1ULL << 60, -EPERM),
	W(regions[0].addr, 2000 * P, -EPERM),	/* not ascending */
	W(regions[0].off, 1ULL << 60, -EPERM),
	W(regions[0].page_sz, 0, -EPERM),
};

static void test_wrong(void **state)
{
	const struct wrong *w = *state;
	int fd;
	struct pt_lazy_record *r = make(&fd), *again;

	memcpy((char *)r + w->at, &w->value, sizeof(w->value));
	assert_int_equal(pt_lazy_record_open(&again, fd, "id", NULL), w->code);
	r->page_max = 128;
	pt_lazy_record_close(r);
	close(fd);
}

static void test_wrong_counts(void **state)
{
	int fd;
	struct pt_lazy_record *r = make(&fd), *again;

	(void)state;
	r->region_cnt = PT_LAZY_REGIONS_MAX + 1;
	assert_int_equal(pt_lazy_record_open(&again, fd, "id", NULL), -EPERM);
	r->region_cnt = 0;
	assert_int_equal(pt_lazy_record_open(&again, fd, "id", NULL), -EPERM);
	r->region_cnt = 2;
	r->message_sz = PT_LAZY_MESSAGE_MAX + 1;
	assert_int_equal(pt_lazy_record_open(&again, fd, "id", NULL), -EPERM);
	pt_lazy_record_close(r);
	close(fd);
}

/* A memfd that could be cut is none: a mapping of it would fail later. */
static void test_not_sealed(void **state)
{
	int fd, other = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct pt_lazy_record *r = make(&fd), *again;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(write(other, r, st.st_size), st.st_size);
	assert_int_equal(pt_lazy_record_open(&again, other, "id", NULL), -EPERM);
	assert_int_equal(fcntl(other, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
			       F_SEAL_SEAL), 0);
	assert_int_equal(pt_lazy_record_open(&again, other, "id", NULL), 0);
	pt_lazy_record_close(again);
	pt_lazy_record_close(r);
	close(other);
	close(fd);
}

static const struct row {
	const char *name, *why;
	struct pt_lazy_region r;
} rows[] = {
	{ "right", NULL, { 16 * P, 4 * P, 4 * P, P, 0 } },
	{ "large pages", NULL, { 512 * P, 512 * P, 0, 512 * P, 0 } },
	{ "empty", "empty", { 16 * P, 0, 0, P, 0 } },
	{ "its address overflows", "last address", { -8 * P, 8 * P, 0, P, 0 } },
	{ "its address ends at the last", "last address", { -8 * P, 9 * P, 0, P, 0 } },
	{ "its offset overflows", "last address", { 16 * P, 8 * P, -4 * P, P, 0 } },
	{ "behind the image", "behind the image", { 16 * P, P, 1024 * P, P, 0 } },
	{ "page size 0", "page size", { 16 * P, P, 0, 0, 0 } },
	{ "page size of 64 MiB", "page size", { 0, 64 << 20, 0, 64 << 20, 0 } },
	{ "large pages, cut", "whole pages", { 512 * P, 511 * P, 0, 512 * P, 0 } },
	{ "offset within a page", "whole pages", { 16 * P, P, 1, P, 0 } },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	struct pt_lazy_region r = row->r;
	struct pt_error err;
	int code = pt_lazy_regions_check(&r, 1, 1023 * P + 1, &err);

	assert_int_equal(code, row->why ? -EINVAL : 0);
	if (row->why && !strstr(err.text, row->why))
		fail_msg("'%s', want '%s'", err.text, row->why);
}

static void test_latency(void **state)
{
	struct pt_latency l = { 0 };

	(void)state;
	assert_int_equal(pt_latency_ns(&l, 500), 0);
	for (__u64 ns = 1; ns; ns <<= 1)
		assert_true(pt_latency_bin(ns) < PT_LATENCY_BINS &&
			    pt_latency_bin(ns) >= pt_latency_bin(ns - 1));
	assert_true(pt_latency_bin(~0ULL) < PT_LATENCY_BINS);
	for (__u64 i = 0; i < 99; i++)
		pt_latency_add(&l, 1000);
	pt_latency_add(&l, 1000000);
	assert_in_range(pt_latency_ns(&l, 500), 1000, 1125);
	assert_in_range(pt_latency_ns(&l, 990), 1000, 1125);
	assert_in_range(pt_latency_ns(&l, 1000), 1000000, 1125000);
	assert_int_equal(l.max_ns, 1000000);
}

#define CNT(rows)	(sizeof(rows) / sizeof(*(rows)))
#define OTHERS		7

int main(void)
{
	struct CMUnitTest tests[OTHERS + CNT(rows) + CNT(wrongs)] = {
		cmocka_unit_test(test_settle), cmocka_unit_test(test_finds),
		cmocka_unit_test(test_remove), cmocka_unit_test(test_opened_again),
		cmocka_unit_test(test_latency), cmocka_unit_test(test_wrong_counts),
		cmocka_unit_test(test_not_sealed),
	};

	for (size_t i = 0; i < CNT(rows); i++)
		tests[OTHERS + i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	for (size_t i = 0; i < CNT(wrongs); i++)
		tests[OTHERS + CNT(rows) + i] = (struct CMUnitTest){
			.name = wrongs[i].name, .test_func = test_wrong,
			.initial_state = (void *)&wrongs[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
