// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lanes of two transfers on one TX queue, stepped by one worker's thread. */
#include "worker_kit.h"

#include <dirent.h>

static int thread_cnt(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	int cnt = 0;

	while ((entry = readdir(dir)))
		cnt += entry->d_name[0] != '.';
	closedir(dir);
	return cnt;
}

/* A lane without credit waits, and the other goes on; then it gets some. */
static void test_one_waits(void **state)
{
	struct transfer *one = &transfers[0], *two = &transfers[1];
	int before;

	(void)state;
	open_worker();
	before = thread_cnt();
	begin(one, 0);
	begin(two, 64);
	assert_int_equal(thread_cnt(), before);
	reach(one, PT_LANE_READY);
	pt_inbox_go(inbox(one), 0, 1);
	reach(one, PT_LANE_SENDING);
	reach(two, PT_LANE_READY);
	pt_inbox_go(inbox(two), 0, 1);
	reach(two, PT_LANE_CLEAN);
	assert_memory_equal(two->copy, two->ram, sizeof(two->ram));
	assert_int_equal(pt_lane_state(one->lane), PT_LANE_SENDING);
	assert_int_equal(one->frames, 0);
	one->window = 64;
	give_window(one);
	reach(one, PT_LANE_CLEAN);
	assert_memory_equal(one->copy, one->ram, sizeof(one->ram));
	end(one);
	end(two);
	close_worker();
}

/* Each ends alone, and a lane that comes later is served. */
static void test_come_and_go(void **state)
{
	struct transfer *one = &transfers[0], *two = &transfers[1];

	(void)state;
	open_worker();
	begin(one, 0);
	reach(one, PT_LANE_READY);
	pt_inbox_go(inbox(one), 0, 1);
	for (int i = 0; i < 3; i++) {
		begin(two, 8);
		reach(two, PT_LANE_READY);
		pt_inbox_go(inbox(two), 0, 1);
		if (i)
			reach(two, PT_LANE_CLEAN);
		end(two);
	}
	assert_int_equal(pt_lane_state(one->lane), PT_LANE_SENDING);
	end(one);
	close_worker();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_waits),
		cmocka_unit_test(test_come_and_go),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
