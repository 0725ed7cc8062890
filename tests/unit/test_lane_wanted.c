// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pages that the receiver wants go before all others, wherever the sweep is, and all
 * pages arrive all the same. */
#include "lane_kit.h"

#define WINDOW	48		/* descriptors: the lane reads its mail often */
#define WANTS	64
#define SOON	40		/* data frames: the window, and the frame in progress */

static struct {
	__u32 page;
	__u32 at;		/* data frames that were sent before */
} wants[WANTS];
static __u32 want_cnt, turn;

static bool is_data(__u32 page)
{
	static const __u8 zeroes[PT_PAGE_SZ];

	return memcmp(ram[page], zeroes, PT_PAGE_SZ);
}

/* want_one wants a page that no frame carried yet, from the end or from the middle. */
static void want_one(void)
{
	__u32 page = turn % 2 ? PAGES - 1 : PAGES / 2;

	if (turn++ % 20 || want_cnt == WANTS || !data_cnt)
		return;
	while (page && (carried[page] || !is_data(page)))
		page--;
	for (__u32 i = 0; i < want_cnt; i++)
		if (wants[i].page == page)
			return;
	if (!page)
		return;
	wants[want_cnt].page = page;
	wants[want_cnt++].at = data_cnt;
	pt_inbox_want(pt_lane_inbox(lane), page);
}

static void begin(struct net *with)
{
	want_cnt = turn = 0;
	with->live = LIVE_REGIONS;
	with->meanwhile = want_one;
	start(with);
	reach(PT_LANE_READY);
	pt_inbox_fill(pt_lane_inbox(lane));
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_CLEAN);
	assert_memory_equal(copy, ram, sizeof(ram));
	for (__u32 i = 0; i < PAGES; i++)
		assert_int_equal(pt_digests_get(&digests, i),
				 pt_digest_page(KEY, i, ram[i]));
	assert_true(want_cnt > 8);
}

static void test_first(void **state)
{
	struct net with = { "first", .mtu = 1500, .window = WINDOW };

	(void)state;
	begin(&with);
	for (__u32 i = 0; i < want_cnt; i++)
		if (carried[wants[i].page] - wants[i].at > SOON)
			fail_msg("page %u, wanted at frame %u, went with frame %llu",
				 wants[i].page, wants[i].at, carried[wants[i].page]);
	stop();
}

static void test_lost(void **state)
{
	struct net with = { "lost", .mtu = 1500, .window = WINDOW, .loss_pct = 10 };

	(void)state;
	begin(&with);
	stop();
}

/* A page that is on its way, or that the lane does not have, changes nothing. */
static void test_not_due(void **state)
{
	struct net with = { "not due", .mtu = 9000, .window = WINDOW,
			    .live = LIVE_REGIONS };
	__u32 frames;

	(void)state;
	start(&with);
	run_to_clean();
	frames = data_cnt;
	pt_inbox_want(pt_lane_inbox(lane), 3);
	pt_inbox_want(pt_lane_inbox(lane), ~0ULL);
	for (int i = 0; i <= PT_INBOX_WANTED; i++)
		pt_inbox_want(pt_lane_inbox(lane), PAGES + 1);
	usleep(50000);
	reach(PT_LANE_CLEAN);
	assert_int_equal(data_cnt, frames);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_not_due),
	};

	return lane_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
