// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A lane that may send pages as copies.  lane_net checks each of its frames
 * against a sender's rules; these tests check the results. */
#include "lane_kit.h"

#define WINDOW	64	/* small: the lane has to wait for acknowledgements */

/* --- memories ---------------------------------------------------------- */

/* some_twins: each third page equals one before it, near or far, in another
 * region, or a twin itself.  The source ends within a page. */
static void some_twins(void)
{
	__u64 random = 3;

	for (__u32 i = 1; i < PAGES; i++) {
		__u32 back = kit_random(&random) % 2 ? i : i < 40 ? i : 40;

		if (!(kit_random(&random) % 3))
			memcpy(ram[i], ram[i - 1 - kit_random(&random) % back],
			       PT_PAGE_SZ);
	}
	memset(&ram[PAGES - 1][PT_PAGE_SZ - 100], 0, 100);
	memcpy(ram[PAGES - 2], ram[700], PT_PAGE_SZ);
}

/* uneven_twins: some_twins of pages that compress well, by turns with others, so
 * that frames take fewer pages than were expected. */
static void uneven_twins(void)
{
	__u64 random = 4;

	for (__u32 i = 0; i < PAGES; i++) {
		memset(ram[i], 'u', PT_PAGE_SZ);
		kit_fill(ram[i], i / 6 % 2 ? PT_PAGE_SZ * 3 / 4 : 64, &random);
	}
	some_twins();
}

/* one_for_all: 64 pages, again and again. */
static void one_for_all(void)
{
	for (__u32 i = 0; i < PAGES; i++)
		if (i < 64)
			memset(ram[i], i + 1, PT_PAGE_SZ);
		else
			memcpy(ram[i], ram[i % 64], PT_PAGE_SZ);
}

/* twin_cnt returns the pages with data that equal an earlier one, of the
 * regions slot, slot + slot_cnt, ... */
static __u32 twin_cnt(__u32 slot, __u32 slot_cnt)
{
	static const __u8 zero[PT_PAGE_SZ];
	__u32 cnt = 0;

	for (__u32 i = 0; i < PAGES; i++) {
		if (i / PT_REGION_PAGES % slot_cnt != slot ||
		    !memcmp(ram[i], zero, PT_PAGE_SZ))
			continue;
		for (__u32 k = 0; k < i; k++)
			if (k / PT_REGION_PAGES % slot_cnt == slot &&
			    !memcmp(ram[i], ram[k], PT_PAGE_SZ)) {
				cnt++;
				break;
			}
	}
	return cnt;
}

/* judged_cnt returns the pages that the adaptive scan counts. */
static __u64 judged_cnt(void)
{
	const struct pt_lane_counts *c = pt_lane_counts(lane);

	return atomic_load(&c->adaptive.pages_searched) +
	       atomic_load(&c->adaptive.pages_unsearched);
}

static void assert_arrived(void)
{
	const struct pt_lane_counts *c = pt_lane_counts(lane);

	assert_memory_equal(copy, ram, sizeof(ram));
	for (__u32 i = 0; i < PAGES; i++)
		assert_int_equal(pt_digests_get(&digests, i),
				 pt_digest_page(KEY, i, ram[i]));
	/* Pages that were staged when it had to probe are counted, too. */
	assert_true(atomic_load(&c->copies) >= copy_cnt);
	if (set_cnt == 1)
		assert_int_equal(atomic_load(&c->copies), copy_cnt);
	assert_int_equal(atomic_load(&c->dirty_pages), 0);
}

/* --- tests ------------------------------------------------------------- */

static const struct net nets[] = {
	{ "MTU 1280", .mtu = 1280, .window = WINDOW },
	{ "MTU 9000", .mtu = 9000, .window = WINDOW },
	{ "MTU 65535", .mtu = 65535, .window = WINDOW },
	{ "small window", .mtu = 3000, .window = 20 },
	{ "1 of 100 lost", .mtu = 1500, .window = 100, .loss_pct = 1 },
	{ "1 of 10 lost", .mtu = 9000, .window = 64, .loss_pct = 10 },
	{ "half lost", .mtu = 3000, .window = 20, .loss_pct = 50 },
	{ "probes again", .mtu = 1500, .window = 40,
	  .reprobe_at = 100, .mtu_then = 1500 },
	{ "the way gets smaller", .mtu = 9000, .window = 64,
	  .reprobe_at = 50, .mtu_then = 1400, .loss_pct = 5 },
	{ "the way gets smaller, nobody says so", .mtu = 9000, .window = 64,
	  .narrow_at = 50, .mtu_then = 1400, .loss_pct = 5 },
	{ "compressed, MTU 1500", .mtu = 1500, .window = 8,
	  .shape = uneven_twins, .method = PT_COMPRESSION_LZ4 },
	{ "compressed, MTU 9000", .mtu = 9000, .window = 20,
	  .shape = uneven_twins, .method = PT_COMPRESSION_LZ4 },
	{ "compressed, 1 of 10 lost", .mtu = 9000, .window = 20, .loss_pct = 10,
	  .shape = uneven_twins, .method = PT_COMPRESSION_LZ4 },
};

/* On any path all pages arrive; without loss most twins go as copies, those
 * after their originals arrived, and none is put off twice. */
static void test_net(void **state)
{
	struct net with = *(const struct net *)*state;
	__u32 twins;

	with.copies = true;
	if (!with.shape)
		with.shape = some_twins;
	start(&with);
	run_to_clean();
	assert_arrived();
	twins = twin_cnt(0, 1);
	assert_true(twins > PAGES / 8);
	assert_true(atomic_load(&pt_lane_counts(lane)->put_off) > 10);
	if (!with.loss_pct && !with.reprobe_at) {
		assert_int_equal(atomic_load(&pt_lane_counts(lane)->generation),
				 2);
		assert_in_range(copy_cnt, twins * 3 / 4, twins);
		/* Pages that were put off count once. */
		assert_int_equal(judged_cnt(), atomic_load(
				 &pt_lane_counts(lane)->pages));
	}
	assert_true(copy_cnt > 10);
	stop();
}

static void test_off(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 9000, .window = WINDOW,
			     .shape = some_twins });
	run_to_clean();
	assert_arrived();
	assert_int_equal(copy_cnt, 0);
	assert_int_equal(atomic_load(&pt_lane_counts(lane)->put_off), 0);
	assert_int_equal(atomic_load(&pt_lane_counts(lane)->generation), 1);
	stop();
}

/* Originals are of the lane's own regions: no other frame of this lane, and
 * none of another, was ever sent here. */
static void test_one_of_two_lanes(void **state)
{
	__u32 twins;

	(void)state;
	start(&(struct net){ .mtu = 9000, .window = WINDOW, .copies = true,
			     .shape = some_twins });
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 1, 2);
	reach(PT_LANE_CLEAN);
	twins = twin_cnt(1, 2);
	assert_true(twins > 50);
	assert_in_range(copy_cnt, twins * 3 / 4, twins);
	for (__u32 i = 0; i < PAGES; i++)
		if (i / PT_REGION_PAGES % 2)
			assert_memory_equal(copy[i], ram[i], PT_PAGE_SZ);
		else
			assert_int_equal(carried[i], 0);
	stop();
}

static bool each_second(__u32 page)
{
	return page % 2;
}

/* A page that the receiver held is no original: this lane never sent it. */
static void test_held(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 9000, .window = 64, .copies = true,
			     .shape = some_twins, .is_held = each_second });
	run_to_clean();
	assert_arrived();
	assert_true(copy_cnt > 10);
	stop();
}

/* weak: a digest that most pages share. */
static __u64 weak_content(__u64 key, const void *page)
{
	__u64 content = pt_digest_variants(&(unsigned int){ 0 })->content(key,
									  page);

	return content ? 1 + content % 3 : 0;
}

/* Digests are hints, the bytes are compared. */
static void test_digests_only_suggest(void **state)
{
	const struct pt_digest_variant *true_one = pt_digest_chosen;
	struct pt_digest_variant weak = *true_one;

	(void)state;
	weak.content = weak_content;
	pt_digest_chosen = &weak;
	start(&(struct net){ .mtu = 9000, .window = 20, .copies = true,
			     .shape = some_twins });
	run_to_clean();
	pt_digest_chosen = true_one;
	assert_memory_equal(copy, ram, sizeof(ram));
	stop();
}

/* A refused page is sent again, until it is accepted. */
static void test_refused(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 9000, .window = WINDOW, .copies = true,
			     .shape = some_twins, .refuse_each = 3 });
	run_to_clean();
	assert_memory_equal(copy, ram, sizeof(ram));
	assert_true(refused_all_cnt > 10);
	assert_true(atomic_load(&pt_lane_counts(lane)->generation) > 2);
	assert_true(copy_cnt > refused_all_cnt);
	stop();
}

static void refuse_what_was_not_sent(struct pt_msg_ack *a)
{
	__u64 page = PAGES + 17;

	(void)a;
	pt_inbox_refused(pt_lane_inbox(lane), &(struct pt_msg_refused){
				.page = &page, .page_cnt = 1 });
}

/* A refusal of a page that does not exist is ignored. */
static void test_refused_not_ours(void **state)
{
	struct pt_error err;

	(void)state;
	start(&(struct net){ .mtu = 9000, .window = WINDOW, .copies = true,
			     .shape = some_twins,
			     .spoil = refuse_what_was_not_sent });
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_FAILED);
	assert_int_equal(pt_lane_error(lane, &err), -EPROTO);
	assert_non_null(strstr(err.text, "refuses page"));
	stop();
}

static void refuse_older(struct pt_msg_ack *a)
{
	__u64 page = pt_record_copy_of(700, 0);

	(void)a;
	pt_inbox_refused(pt_lane_inbox(lane), &(struct pt_msg_refused){
				.page = &page, .page_cnt = 1 });
}

/* A page that was sent in another version since is not sent once more. */
static void test_refused_older(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 9000, .window = WINDOW, .copies = true,
			     .shape = some_twins, .spoil = refuse_older });
	run_to_clean();
	assert_arrived();
	assert_int_equal(atomic_load(&pt_lane_counts(lane)->generation), 2);
	stop();
}

static void place_nothing(struct pt_msg_ack *a)
{
	a->placed_upto = 0;
}

static void place_all(struct pt_msg_ack *a)
{
	a->placed_upto = a->upto;
}

/* A page that arrived but is not placed is no original; nor is a lane done
 * before all frames are in the sink. */
static void test_not_placed(void **state)
{
	__u64 deadline = pt_clock_ns() + WAIT_NS;

	(void)state;
	start(&(struct net){ .mtu = 9000, .window = WINDOW, .copies = true,
			     .arrivals = true, .spoil = place_nothing,
			     .shape = some_twins });
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	while ((!cum_ack || cum_ack != data_cnt ||
		atomic_load(&pt_lane_counts(lane)->dirty_pages)) &&
	       pt_clock_ns() < deadline)
		usleep(200);
	assert_int_equal(pt_lane_state(lane), PT_LANE_SENDING);
	assert_int_equal(copy_cnt, 0);
	net.spoil = place_all;
	ack();
	reach(PT_LANE_CLEAN);
	assert_arrived();
	stop();
}

/* All copies name the page that was sent first: a later one would never be
 * acknowledged while more of them follow. */
static void test_the_first_is_the_original(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 9000, .window = 40, .copies = true,
			     .is_lazy = true, .shape = one_for_all });
	run_to_clean();
	assert_arrived();
	/* The first batch goes as data. */
	assert_in_range(copy_cnt, PAGES - 64 - 40, PAGES - 64);
	for (__u32 i = 64; i < PAGES; i++)
		assert_int_equal(named[i], 0);
	stop();
}

/* The source is cut short when only copies are left to send: the comparison
 * detects it. */
static void test_source_cut(void **state)
{
	struct net with = {
		.mtu = 1500, .window = PT_SPANS_MAX, .copies = true,
		.shape = one_for_all,
	};
	struct pt_error err;

	(void)state;
	start(&with);
	run_to_clean();
	assert_arrived();
	assert_int_equal(copy_cnt, PAGES - 64);
	stop();
	with.cut_at = data_cnt - 8;
	start(&with);
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_FAILED);
	assert_int_equal(pt_lane_error(lane, &err), -EIO);
	assert_int_equal(err.exit, PT_EXIT_FAILED);
	assert_non_null(strstr(err.text, RAM));
	stop();
}

/* twins_at_the_end: two pages, of the last region, next to each other. */
static void twins_at_the_end(void)
{
	memset(ram[PAGES - 3], 3, 2 * PT_PAGE_SZ);
	memset(ram[PAGES - 1], 0, PT_PAGE_SZ);
}

/* A region that is not mapped would be read as a whole once more, for one page
 * of it: more than dedup saves. */
static void test_put_off_where_mapped(void **state)
{
	(void)state;
	for (__u32 is_short = 0; is_short < 2; is_short++) {
		start(&(struct net){ .mtu = 9000, .window = WINDOW,
				     .copies = true, .short_sz = is_short,
				     .shape = twins_at_the_end });
		run_to_clean();
		assert_arrived();
		assert_int_equal(atomic_load(&pt_lane_counts(lane)->put_off),
				 !is_short);
		assert_int_equal(
			atomic_load(&pt_lane_counts(lane)->generation),
			1 + !is_short);
		stop();
	}
}

/* all_alike: a guest that fills free memory with a pattern. */
static void all_alike(void)
{
	memset(ram, 0xaa, sizeof(ram));
}

static atomic_uint scanned_cnt;

/* stopping_content: the lane is told to stop at its first page. */
static __u64 stopping_content(__u64 key, const void *page)
{
	if (!atomic_fetch_add(&scanned_cnt, 1))
		pt_inbox_stop(pt_lane_inbox(lane));
	return pt_digest_variants(&(unsigned int){ 0 })->content(key, page);
}

/* Where all pages are put off no frame is sent: the lane still reads its
 * mail. */
static void test_stop_while_putting_off(void **state)
{
	const struct pt_digest_variant *true_one = pt_digest_chosen;
	struct pt_digest_variant stopping = *true_one;
	__u64 deadline = pt_clock_ns() + WAIT_NS;

	(void)state;
	stopping.content = stopping_content;
	start(&(struct net){ .mtu = 9000, .window = WINDOW, .copies = true,
			     .shape = all_alike });
	reach(PT_LANE_READY);
	atomic_store(&scanned_cnt, 0);
	pt_digest_chosen = &stopping;
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	while (!atomic_load(&scanned_cnt) && pt_clock_ns() < deadline)
		usleep(200);
	stop();
	pt_digest_chosen = true_one;
	assert_in_range(atomic_load(&scanned_cnt), 1, PT_REGION_PAGES);
}

#define FIXED	12

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(nets)] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_not_ours),
		cmocka_unit_test(test_refused_older),
		cmocka_unit_test(test_one_of_two_lanes),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_digests_only_suggest),
		cmocka_unit_test(test_not_placed),
		cmocka_unit_test(test_the_first_is_the_original),
		cmocka_unit_test(test_source_cut),
		cmocka_unit_test(test_put_off_where_mapped),
		cmocka_unit_test(test_stop_while_putting_off),
	};

	for (size_t i = 0; i < COUNT_OF(nets); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			nets[i].name, test_net, NULL, NULL, (void *)&nets[i],
		};
	if (lane_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
