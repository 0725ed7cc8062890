// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* More pages are waited for than the list of those has places. */
#define CNT	2048		/* pages of each of two regions */
#include "postcopy_kit.h"

#define WAITING	(PT_POSTCOPY_WAITING_MAX + 200)
#define GIVEN	7		/* pages that the guest gives away */

static struct touch touches[WAITING];

static void lack_some(void)
{
	lack(0, PAGES);
}

static __u64 waiting_cnt(void)
{
	__u64 cnt;

	pthread_mutex_lock(&p->lock);
	cnt = p->waiting_cnt + p->unlisted_cnt;
	pthread_mutex_unlock(&p->lock);
	return cnt;
}

/* touch_all has a thread wait for each of the first pages of the second region. */
static void touch_all(void)
{
	for (int i = 0; i < WAITING; i++)
		touch(&touches[i], CNT + i);
	for (int i = 0; i < WAIT_MS && waiting_cnt() < WAITING; i++)
		usleep(1000);
	assert_int_equal(waiting_cnt(), WAITING);
	assert_int_equal(p->waiting_cnt, PT_POSTCOPY_WAITING_MAX);
}

/* A removal is read in time, both of pages in the list and of others; and each page that
 * comes answers who waits for it. */
static void test_full(void **state)
{
	(void)state;
	touch_all();
	assert_int_equal(madvise(addr_of(CNT), GIVEN * P, MADV_REMOVE), 0);
	assert_int_equal(madvise(addr_of(CNT + WAITING - GIVEN), GIVEN * P, MADV_REMOVE), 0);
	for (int i = 0; i < GIVEN; i++) {
		got(&touches[i], 0);
		got(&touches[WAITING - 1 - i], 0);
	}
	for (int i = GIVEN; i < WAITING - GIVEN; i++)
		assert_int_equal(pt_postcopy_page(p, CNT + i, content(i % 255), &err), 0);
	for (int i = GIVEN; i < WAITING - GIVEN; i++)
		got(&touches[i], i % 255);
	assert_int_equal(waiting_cnt(), 0);
	assert_int_equal(p->counts.faults, WAITING);
}

/* Those that have no place get one, and are asked for, as others are answered. */
static void test_asked(void **state)
{
	static __u8 was_asked[PAGES];
	__u64 pages[64];
	__u32 left = WAITING, cnt;

	(void)state;
	memset(was_asked, 0, sizeof(was_asked));
	touch_all();
	for (int i = 0; i < WAIT_MS && left; i++) {
		cnt = pt_postcopy_wanted(p, pages, 64);
		for (__u32 k = 0; k < cnt; k++) {
			left -= !was_asked[pages[k]]++;
			assert_int_equal(pt_postcopy_page(p, pages[k], content(1), &err), 0);
		}
		if (!cnt)
			usleep(1000);
	}
	assert_int_equal(left, 0);
	for (int i = 0; i < WAITING; i++)
		got(&touches[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_full), TEST(test_asked) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
