// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A lane probes while answers are lost, or late. */
#include "lane/inbox.h"

static void answer(struct pt_inbox *in, const struct pt_msg_probe_seen *seen);

#define pt_inbox_probe(in, seen) answer(in, seen)
#include "lane_kit.h"
#undef pt_inbox_probe

#define WINDOW	1536
#define LARGEST	(9000 + PT_ETH_SZ)

static const struct row {
	const char *name;
	__u32 largest_lost;	/* so many of its probes, at first */
	__u32 late;		/* so many answers come */
	__u32 come_at;		/* with that of this probe, from 1 on; */
	__u32 none_from;	/* from this on there are none.  0: no such */
	__u32 sent;		/* probes it takes; 0: any number */
} rows[] = {
	{ "the first arrives", .sent = 2 },
	{ "the second arrives", .largest_lost = 1, .sent = 2 },
	{ "of the largest the first two are lost", .largest_lost = 2 },
	{ "of the largest the first nine are lost", .largest_lost = 9 },
	{ "of the largest the first 17 are lost", .largest_lost = 17 },
	{ "the answers come a round late, and no others",
	  .late = 2, .come_at = 12, .none_from = 3 },
	{ "they come when all of that round was sent",
	  .late = 2, .come_at = 40, .none_from = 3 },
	{ "they come when the smallest is asked alone",
	  .late = 2, .come_at = 42, .none_from = 3 },
};

static const struct row *now;
static struct pt_msg_probe_seen kept[2];
static __u32 kept_cnt, lost_cnt, asked_cnt;

/* answer replaces pt_inbox_probe: called for each probe that passes. */
static void answer(struct pt_inbox *in, const struct pt_msg_probe_seen *seen)
{
	asked_cnt++;
	if (seen->frame_sz == LARGEST && lost_cnt < now->largest_lost) {
		lost_cnt++;
		return;
	}
	if (kept_cnt < now->late) {
		kept[kept_cnt++] = *seen;
		return;
	}
	if (now->come_at && asked_cnt == now->come_at)
		for (__u32 i = 0; i < kept_cnt; i++)
			pt_inbox_probe(in, &kept[i]);
	if (!now->none_from || asked_cnt < now->none_from)
		pt_inbox_probe(in, seen);
}

static void test_row(void **state)
{
	now = *state;
	kept_cnt = lost_cnt = asked_cnt = 0;
	start(&(struct net){ .mtu = 9000, .window = WINDOW });
	run_to_clean();
	assert_int_equal(set_sz, LARGEST);
	assert_int_equal(lost_cnt, now->largest_lost);
	if (now->come_at)
		assert_true(asked_cnt >= now->come_at);
	if (now->sent)
		assert_int_equal(probe_cnt, now->sent);
	stop();
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(rows)];

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[i] = (struct CMUnitTest){
			rows[i].name, test_row, NULL, NULL, (void *)&rows[i],
		};
	if (lane_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
