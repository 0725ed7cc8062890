// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Frames carry pages of several regions, also of those that are read into the
 * view's buffer: files that end within a page. */
#include "lane_kit.h"

#define WINDOW	1536

/* Pages past the end of their file are no memory: they count as held. */
static bool is_past_its_file(__u32 page)
{
	__u32 file = page / PT_REGION_PAGES;

	return file >= FILES_MAX ||
	       page % PT_REGION_PAGES >= net.file_pages[file];
}

static void fill_all(void)
{
	__u64 random = 77;

	for (__u32 i = 0; i < PAGES; i++)
		kit_fill(ram[i], PT_PAGE_SZ, &random);
}

#define FILES(...) .file_pages = { __VA_ARGS__ }, .short_sz = 100, \
	.is_held = is_past_its_file, .window = WINDOW

static const struct row {
	struct net net;
	__u32 frames;	/* at most */
} rows[] = {
	{ { "four regions, one frame", FILES(3, 3, 4, 3), .mtu = 65535,
	    .shape = fill_all }, 1 },
	{ { "four of one page, two frames", FILES(1, 1, 1, 1), .mtu = 9000,
	    .shape = fill_all }, 2 },
	/* The buffer holds two of them: the third overwrites the first. */
	{ { "more than the buffer holds", FILES(200, 200, 200, 5),
	    .mtu = 65535 }, ~0U },
	{ { "as much as the buffer holds", FILES(256, 256, 1, 5),
	    .mtu = 65535 }, ~0U },
	{ { "large ones", FILES(512, 511, 512, 5), .mtu = 65535 }, ~0U },
	{ { "half lost", FILES(3, 200, 400, 5), .mtu = 9000,
	    .loss_pct = 50 }, ~0U },
	{ { "probes again", FILES(3, 200, 400, 5), .mtu = 9000,
	    .reprobe_at = 3, .mtu_then = 9000 }, ~0U },
};

static void test_row(void **state)
{
	const struct row *row = *state;

	start(&row->net);
	run_to_clean();
	assert_memory_equal(copy, ram, sizeof(ram));
	for (__u32 i = 0; i < PAGES; i++)
		if (!is_past_its_file(i))
			assert_int_equal(pt_digests_get(&digests, i),
					 pt_digest_page(KEY, i, ram[i]));
	assert_in_range(data_cnt, 1, row->frames);
	stop();
}

int main(void)
{
	struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0])];
	unsigned int cnt = 0;

	if (lane_init())
		return 1;
	for (; cnt < sizeof(rows) / sizeof(rows[0]); cnt++)
		tests[cnt] = (struct CMUnitTest){
			.name = rows[cnt].net.name,
			.test_func = test_row,
			.initial_state = (void *)&rows[cnt],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
