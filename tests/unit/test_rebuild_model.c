// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Frames of several generations of a memory, shuffled, repeated and dropped,
 * taken as a queue takes them; the memory must then equal a model without
 * frames, files and rings. */
#include "rebuild_kit.h"

#include "rxq/rx_lane.h"

#define GENERATIONS	5
#define FRAMES_MAX	16384
#define GRACE		PT_REORDER_MIN_NS

/* sent: a frame, and its records, noted when it was built. */
struct sent {
	__u8 *bytes;
	__u32 sz;
	__u32 generation;
	__u32 record_cnt;
	struct pt_record_host records[PT_RECORDS_MAX];
};

static struct sent frames[FRAMES_MAX];
static __u32 frame_cnt;

/* The model: pages in order of gfn. */
static struct {
	__u32 generation;
	__u64 blocks;		/* that were placed in it, of that generation */
	bool is_touched;	/* a block was placed in it at some time ... */
	bool is_written;	/* ... and since it was made zero last */
	__u8 bytes[PT_PAGE_SZ];
} model[PAGES];

static struct pt_rebuild_counts want;

static struct pt_rx_lane lane;
static __u64 now_ns;

static __u32 page_of(__u64 gfn)
{
	return gfn < HIGH ? gfn - LOW : gfn - HIGH + LOW_CNT + MID_CNT;
}

/* The regions of the memory, as pages of the model. */
static const struct {
	__u32 first, cnt;
} regions[] = {
	{ 0, 512 }, { 512, LOW_CNT - 512 }, { LOW_CNT, MID_CNT },
	{ LOW_CNT + MID_CNT, 512 }, { LOW_CNT + MID_CNT + 512, HIGH_CNT - 512 },
};

/* region_begins returns the number of pages of the region that begins with this
 * page, if it has no data in that generation; else 0. */
static __u32 region_begins(__u32 page, __u32 generation, __u64 seed)
{
	for (__u32 i = 0; i < COUNT_OF(regions); i++)
		if (regions[i].first == page)
			return (seed * 7 + generation * 3 + i) % 3
				? 0 : regions[i].cnt;
	return 0;
}

static bool is_empty(__u32 page, __u32 generation, __u64 seed)
{
	__u32 i = 0;

	while (page - regions[i].first >= regions[i].cnt)
		i++;
	return region_begins(regions[i].first, generation, seed);
}

/* page_content makes a page's content in a generation; returns its mask. */
static __u64 page_content(__u32 page, __u32 generation, __u64 seed,
			  __u8 bytes[PT_PAGE_SZ])
{
	__u64 random = seed << 40 | generation << 20 | (page + 1);
	__u64 mask;

	for (int i = 0; i < 4; i++)
		kit_random(&random);
	mask = kit_random(&random) % 4 ? kit_mask(&random) : 0;
	if (is_empty(page, generation, seed))
		mask = 0;
	if (page == PAGES - 1)	/* memory ends 100 bytes before it does */
		mask &= ~0ULL >> 2;
	memset(bytes, 0, PT_PAGE_SZ);
	for (__u64 left = mask; left; left &= left - 1)
		kit_fill(bytes + __builtin_ctzll(left) * 64, 64, &random);
	return mask;
}

/* --- sending --------------------------------------------------------- */

static void close_frame(struct pt_builder *b, __u32 generation)
{
	struct sent *f = &frames[frame_cnt];

	assert_true(frame_cnt < FRAMES_MAX);
	f->generation = generation;
	f->record_cnt = b->record_cnt;
	memcpy(f->records, b->records, sizeof(f->records));
	f->sz = frame_close(b, generation, frame_cnt);
	f->bytes = malloc(f->sz);
	assert_non_null(f->bytes);
	memcpy(f->bytes, frame, f->sz);
	frame_cnt++;
}

/* send_copy sends a page as a copy of another, any or a near one, in a version
 * that this may have when the frame arrives, in any order of frames. */
static void send_copy(struct pt_builder *b, __u32 page, __u32 generation,
		      __u64 *random)
{
	__u32 farther = kit_random(random) % 2 ? 4 : PAGES - 1;
	__u32 step = 1 + kit_random(random) % farther;
	__u64 original = kit_gfn((page + PAGES - step) % PAGES);

	__u32 version = 1 + kit_random(random) % generation;

	while (!pt_builder_add_copy(b, kit_gfn(page), original, version))
		close_frame(b, generation);
}

/* send_page: bytes must not change until the frame is closed, so staged records
 * are sent before they change. */
static void send_page(struct pt_builder *b, __u32 page, __u32 generation,
		      __u64 seed)
{
	static __u8 bytes[PAGES][PT_PAGE_SZ];
	__u64 mask = page_content(page, generation, seed, bytes[page]);

	if (!mask) {
		while (!pt_builder_add_zeroes(b, kit_gfn(page), 1))
			close_frame(b, generation);
		return;
	}
	for (unsigned int at = 0; at < 64; ) {
		at = pt_builder_add_page(b, kit_gfn(page), at, mask,
					 bytes[page]);
		if (at < 64)
			close_frame(b, generation);
	}
}

/* send_generation sends every page, or each with some chance, and stretches of
 * them as copies; regions without data as one run. */
static void send_generation(__u32 generation, bool all, __u64 *random,
			    __u64 seed)
{
	struct pt_builder b = page_builder(kit_mtus[kit_random(random) % 4]);

	for (__u32 page = 0, cnt; page < PAGES; page += cnt ? cnt : 1) {
		cnt = region_begins(page, generation, seed);
		if (!all && kit_random(random) % 3)
			cnt = 0;
		else if (cnt)
			while (!pt_builder_add_zeroes(&b, kit_gfn(page), cnt))
				close_frame(&b, generation);
		else if (!all && (page / 32 + generation + seed) % 4 == 0)
			send_copy(&b, page, generation, random);
		else
			send_page(&b, page, generation, seed);
	}
	if (!pt_builder_is_empty(&b))
		close_frame(&b, generation);
}

/* --- receiving ------------------------------------------------------- */

/* model_copy: memory ends 100 bytes before its last page does. */
static void model_copy(__u32 page, __u32 original)
{
	memcpy(model[page].bytes, model[original].bytes, PT_PAGE_SZ);
	if (page == PAGES - 1)
		memset(model[page].bytes + PT_PAGE_SZ - 100, 0, 100);
	model[page].is_written = model[original].is_written;
	model[page].is_touched |= model[original].is_written;
}

static void model_place(const struct pt_record_host *r, __u32 page,
			__u32 generation, __u64 seed)
{
	__u8 bytes[PT_PAGE_SZ];

	if (generation > model[page].generation)
		model[page].blocks = 0;
	model[page].generation = generation;
	if (r->kind == PT_RECORD_COPY)
		model_copy(page, page_of(pt_record_original(r->mask)));
	if (r->kind == PT_RECORD_ZEROES) {
		memset(model[page].bytes, 0, PT_PAGE_SZ);
		model[page].is_written = false;
	}
	for (int b = r->first; b <= r->last; b++)
		model[page].blocks |= 1ULL << b;
	if (r->kind != PT_RECORD_BLOCKS)
		return;
	page_content(page, generation, seed, bytes);
	for (int b = r->first; b <= r->last; b++)
		if (r->mask >> b & 1)
			memcpy(model[page].bytes + b * 64, bytes + b * 64, 64);
		else
			memset(model[page].bytes + b * 64, 0, 64);
	model[page].is_touched |= !!r->mask;
	model[page].is_written |= !!r->mask;
}

/* model_refuses: the copy's original is not whole in the version that it names. */
static bool model_refuses(const struct pt_record_host *r)
{
	__u32 page;

	if (r->kind != PT_RECORD_COPY)
		return false;
	page = page_of(pt_record_original(r->mask));
	return model[page].generation != pt_record_version(r->mask) ||
	       ~model[page].blocks;
}

static void model_frame(const struct sent *f, __u64 seed)
{
	for (__u32 i = 0; i < f->record_cnt; i++) {
		const struct pt_record_host *r = &f->records[i];
		bool placed = false;

		if (f->generation >= model[page_of(r->gfn)].generation &&
		    model_refuses(r)) {
			want.refused++;
			continue;
		}
		for (__u64 n = 0; n < pt_record_page_cnt(r); n++) {
			__u32 page = page_of(r->gfn + n);

			if (f->generation < model[page].generation)
				continue;
			placed = true;
			model_place(r, page, f->generation, seed);
		}
		want.placed += placed;
		want.stale += !placed;
		if (placed)
			want.bytes += pt_record_block_cnt(r) * PT_BLOCK_SZ;
	}
}

/* arrive takes a frame as a queue does: in batches, cut at blocks or not. */
static void arrive(__u32 seq, __u64 seed)
{
	enum pt_seq what = pt_rx_lane_take(&lane, seq, 1, now_ns);

	assert_int_not_equal(what, PT_SEQ_OUT);
	if (what == PT_SEQ_DUPLICATE)
		return;
	batch_place(frames[seq].bytes, frames[seq].sz,
		    seq % 7 ? 3840 : 3841 + seq % 200);
	if (seq % 31 == 0)
		batch_flush();
	model_frame(&frames[seq], seed);
}

static void assert_as_modelled(void)
{
	__u64 regions[8] = { 0 };
	__u64 fresh[PT_REGION_PAGES];
	__u64 page_idx;

	batch_flush();
	assert_true(pt_layout_region_cnt(layout) <= 8);
	for (__u32 page = 0; page < PAGES; page++) {
		__u64 gfn = kit_gfn(page);
		__u64 digest = true_digest(gfn, model[page].bytes);

		assert_content(gfn, model[page].bytes);
		assert_int_equal(sink_is_hole(gfn), !model[page].is_touched);
		assert_true(pt_layout_find(layout, gfn, &page_idx));
		regions[page_idx / PT_REGION_PAGES] += digest;
		if (page_idx % PT_REGION_PAGES == 0)
			pt_rebuild_page_digests(rebuild, page_idx /
						PT_REGION_PAGES, fresh, NULL);
		assert_int_equal(fresh[page_idx % PT_REGION_PAGES], digest);
	}
	for (__u64 r = 0; r < pt_layout_region_cnt(layout); r++)
		assert_int_equal(region_digest(r), regions[r]);
	assert_memory_equal(&counts, &want, sizeof(want));
}

static void clear(void)
{
	for (__u32 i = 0; i < frame_cnt; i++)
		free(frames[i].bytes);
	frame_cnt = 0;
	memset(model, 0, sizeof(model));
	memset(&want, 0, sizeof(want));
	memset(&lane, 0, sizeof(lane));
}

/* shuffle puts the cnt in any order; if farther is not 0, within that distance
 * of their places: then most pages arrive in order. */
static void shuffle(__u32 *order, __u32 cnt, __u32 farther, __u64 *random)
{
	for (__u32 i = cnt; i > 1; i--) {
		__u32 span = farther && farther < i ? farther : i;
		__u32 k = i - 1 - kit_random(random) % span;
		__u32 held = order[i - 1];

		if (farther && kit_random(random) % 8)
			continue;
		order[i - 1] = order[k];
		order[k] = held;
	}
}

/* deliver lets frames [first, frame_cnt) arrive, with every other seed in any
 * order, else some earlier or later: one of ten never, one of five more than
 * once. */
static void deliver(__u32 first, __u64 *random, __u64 seed)
{
	static __u32 order[FRAMES_MAX];
	__u32 cnt = 0;

	for (__u32 i = first; i < frame_cnt; i++)
		if (kit_random(random) % 10)
			order[cnt++] = i;
	shuffle(order, cnt, seed % 2 ? 0 : 1 + seed, random);
	for (__u32 i = 0; i < cnt; i++) {
		arrive(order[i], seed);
		if (kit_random(random) % 5 == 0)
			arrive(order[kit_random(random) % (i + 1)], seed);
		pt_rx_lane_tick(&lane, now_ns += GRACE / 2, GRACE);
		pt_rx_lane_told(&lane);
	}
}

static void assert_as_sent(__u32 generation, __u64 seed)
{
	__u8 bytes[PT_PAGE_SZ];

	for (__u32 page = 0; page < PAGES; page++) {
		page_content(page, generation, seed, bytes);
		assert_memory_equal(model[page].bytes, bytes, PT_PAGE_SZ);
	}
}

static void test_generations(void **state)
{
	__u64 random = 77;
	__u64 late = 0, stale = 0;

	(void)state;
	for (__u64 seed = 1; seed <= 8; seed++) {
		__u32 tail;

		clear();
		assert_int_equal(rebuild_start(NULL), 0);
		for (__u32 g = 1; g <= GENERATIONS; g++)
			send_generation(g, g == 1, &random, seed);
		deliver(0, &random, seed);
		assert_as_modelled();
		stale += counts.stale;
		late += lane.late;

		/* One more generation, which arrives in full, with the
		 * stragglers of the others: memory equals the source's last
		 * state. */
		tail = frame_cnt;
		send_generation(GENERATIONS + 1, true, &random, seed);
		deliver(tail, &random, seed);
		for (__u32 i = 0; i < frame_cnt; i++)
			arrive(i, seed);
		assert_as_modelled();
		assert_as_sent(GENERATIONS + 1, seed);
		assert_int_equal(rebuild_stop(NULL), 0);
	}
	clear();
	assert_true(late > 1000);
	assert_true(stale > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generations),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
