// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include "memory/dirty.h"

#define REGIONS	3

/* anon_kib: this process's anonymous memory. */
static __u64 anon_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long long kib = 0;
	char line[128];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "RssAnon: %llu", &kib);
	fclose(f);
	assert_true(kib);
	return kib;
}

static struct pt_dirty *make(__u64 region_cnt)
{
	struct pt_dirty *d = NULL;

	assert_int_equal(pt_dirty_create(&d, region_cnt), 0);
	assert_non_null(d);
	return d;
}

static bool has(const __u64 bits[PT_REGION_WORDS], __u32 page)
{
	return bits[page / 64] >> (page % 64) & 1;
}

static void test_starts_empty(void **state)
{
	struct pt_dirty *d = make(REGIONS);
	__u64 bits[PT_REGION_WORDS];

	(void)state;
	for (int r = 0; r < REGIONS; r++) {
		memset(bits, 0xff, sizeof(bits));
		assert_int_equal(pt_dirty_take(d, r, bits), 0);
		for (int i = 0; i < PT_REGION_WORDS; i++)
			assert_int_equal(bits[i], 0);
	}
	pt_dirty_destroy(d);
	pt_dirty_destroy(NULL);
}

/* Every run of a region: exactly its pages, of its region alone. */
static void test_every_run(void **state)
{
	static const __u32 steps[] = { 1, 2, 63, 64, 65, 127, 128, 511, 512 };
	struct pt_dirty *d = make(REGIONS);
	__u64 bits[PT_REGION_WORDS];

	(void)state;
	for (__u32 first = 0; first < PT_REGION_PAGES; first++)
		for (size_t s = 0; s < COUNT_OF(steps); s++) {
			__u32 cnt = steps[s];

			if (first + cnt > PT_REGION_PAGES)
				continue;
			assert_int_equal(pt_dirty_set(d, PT_REGION_PAGES +
							 first, cnt), cnt);
			assert_int_equal(pt_dirty_cnt(d, 0), 0);
			assert_int_equal(pt_dirty_cnt(d, 1), cnt);
			assert_int_equal(pt_dirty_cnt(d, 2), 0);
			assert_int_equal(pt_dirty_take(d, 0, bits), 0);
			assert_int_equal(pt_dirty_take(d, 2, bits), 0);
			assert_int_equal(pt_dirty_take(d, 1, bits), cnt);
			for (__u32 i = 0; i < PT_REGION_PAGES; i++)
				assert_int_equal(has(bits, i), i >= first &&
						 i < first + cnt);
		}
	pt_dirty_destroy(d);
}

static void test_take_empties(void **state)
{
	struct pt_dirty *d = make(REGIONS);
	__u64 bits[PT_REGION_WORDS];

	(void)state;
	assert_int_equal(pt_dirty_set(d, 0, 512), 512);
	assert_int_equal(pt_dirty_take(d, 0, bits), 512);
	assert_int_equal(pt_dirty_take(d, 0, bits), 0);
	assert_int_equal(bits[0] | bits[7], 0);
	assert_int_equal(pt_dirty_set(d, 0, 512), 512);	/* new again */
	pt_dirty_destroy(d);
}

/* A run that overlaps set pages counts only the new ones. */
static void test_overlaps(void **state)
{
	struct pt_dirty *d = make(REGIONS);
	__u64 bits[PT_REGION_WORDS];

	(void)state;
	assert_int_equal(pt_dirty_set(d, 100, 50), 50);
	assert_int_equal(pt_dirty_set(d, 100, 50), 0);
	assert_int_equal(pt_dirty_set(d, 99, 2), 1);
	assert_int_equal(pt_dirty_set(d, 149, 2), 1);
	assert_int_equal(pt_dirty_set(d, 90, 100), 100 - 52);
	assert_int_equal(pt_dirty_take(d, 0, bits), 100);
	pt_dirty_destroy(d);
}

static void test_model(void **state)
{
	struct pt_dirty *d = make(REGIONS);
	static bool model[REGIONS * PT_REGION_PAGES];
	__u64 bits[PT_REGION_WORDS];
	__u64 random = 9;

	(void)state;
	for (int n = 0; n < 100000; n++) {
		__u32 region = kit_random(&random) % REGIONS;
		__u32 first = kit_random(&random) % 4
			? kit_random(&random) % PT_REGION_PAGES : 0;
		__u32 cnt = kit_random(&random) % 4
			? 1 + kit_random(&random) % (PT_REGION_PAGES - first)
			: PT_REGION_PAGES - first;
		bool *page = &model[region * PT_REGION_PAGES];
		__u32 want = 0;

		if (kit_random(&random) >> 60) {
			for (__u32 i = first; i < first + cnt; i++) {
				want += !page[i];
				page[i] = true;
			}
			assert_int_equal(pt_dirty_set(d, region *
					 PT_REGION_PAGES + first, cnt), want);
			continue;
		}
		cnt = pt_dirty_take(d, region, bits);
		for (__u32 i = 0; i < PT_REGION_PAGES; i++) {
			if (has(bits, i) != page[i])
				fail_msg("page %u of region %u", i, region);
			want += page[i];
			page[i] = false;
		}
		assert_int_equal(cnt, want);
	}
	pt_dirty_destroy(d);
}

/* Regions that are set whole, counted and taken cost next to nothing. */
static void test_takes_no_memory(void **state)
{
	const __u64 many = 1 << 19;	/* 1 TiB of memory: 32 MiB of bits */
	struct pt_dirty *d = make(many);
	__u64 bits[PT_REGION_WORDS];
	__u64 before = anon_kib();

	(void)state;
	for (__u64 r = 0; r < many; r++)
		assert_int_equal(pt_dirty_set(d, r * PT_REGION_PAGES, 512),
				 512);
	for (__u64 r = 0; r < many; r++)
		assert_int_equal(pt_dirty_cnt(d, r), 512);
	for (__u64 r = 0; r < many; r++) {
		assert_int_equal(pt_dirty_take(d, r, bits), 512);
		assert_int_equal(bits[0] & bits[7], ~0ULL);
	}
	assert_in_range(anon_kib() - before, 0, 4096);
	pt_dirty_destroy(d);
}

static struct pt_dirty *victim;

static void set_none(void)
{
	pt_dirty_set(victim, 5, 0);
}

static void set_two_regions(void)
{
	pt_dirty_set(victim, 511, 2);
}

static void set_past_end(void)
{
	pt_dirty_set(victim, REGIONS * PT_REGION_PAGES, 1);
}

static void take_past_end(void)
{
	__u64 bits[PT_REGION_WORDS];

	pt_dirty_take(victim, REGIONS, bits);
}

static void cnt_past_end(void)
{
	pt_dirty_cnt(victim, REGIONS);
}

static void set_last(void)
{
	pt_dirty_set(victim, REGIONS * PT_REGION_PAGES - 1, 1);
}

static void test_misuse(void **state)
{
	(void)state;
	victim = make(REGIONS);
	assert_true(kit_aborts(set_none));
	assert_true(kit_aborts(set_two_regions));
	assert_true(kit_aborts(set_past_end));
	assert_true(kit_aborts(take_past_end));
	assert_true(kit_aborts(cnt_past_end));
	assert_false(kit_aborts(set_last));
	pt_dirty_destroy(victim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_empty),
		cmocka_unit_test(test_every_run),
		cmocka_unit_test(test_take_empties),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_takes_no_memory),
		cmocka_unit_test(test_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
