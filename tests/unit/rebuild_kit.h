/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rebuild_kit: shared by the tests of rebuild/rebuild: a memory of several
 * segments, its sink in the scratch folder, frames built and read.
 */
#ifndef TEST_REBUILD_KIT_H
#define TEST_REBUILD_KIT_H

#include "scratch.h"
#include "wire_kit.h"

#include "rebuild/rebuild.h"
#include "sink/image.h"
#include "trim/digest.h"
#include "trim/scan.h"
#include "wire/reader.h"

#define KEY	0x1f2e3d4c5b6a7988ULL
#define OUT	SCRATCH "/ram"
#define LOW	16		/* first page of each segment, and how many */
#define LOW_CNT	513		/* a region and a page */
#define MID	(LOW + LOW_CNT)	/* right behind it */
#define MID_CNT	40
#define HIGH	1000000
#define HIGH_CNT 600
#define PAGES	(LOW_CNT + MID_CNT + HIGH_CNT)	/* in order of gfn */

static const struct pt_segment kit_segments[] = {
	{ "low", LOW, LOW_CNT * (__u64)PT_PAGE_SZ },
	{ "mid", MID, MID_CNT * (__u64)PT_PAGE_SZ },
	{ "high", HIGH, HIGH_CNT * (__u64)PT_PAGE_SZ - 100 },
};

static struct pt_layout *layout;
static struct pt_sink *sink;
static struct pt_rebuild *rebuild;
static struct pt_rebuild_counts counts;
static struct pt_page_sum sum;
static struct pt_refusals refusals;	/* of the last frame */
static __u8 frame[FRAME_SZ_MAX] __attribute__((aligned(64)));

/* kit_gfn: page i of PAGES. */
static inline __u64 kit_gfn(__u32 i)
{
	return i < LOW_CNT + MID_CNT ? LOW + i : HIGH + i - LOW_CNT - MID_CNT;
}

static inline int rebuild_start(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	assert_int_equal(pt_layout_create(&layout, kit_segments,
					  COUNT_OF(kit_segments), &err), 0);
	if (pt_image_create(&sink, OUT, layout, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	memset(&counts, 0, sizeof(counts));
	memset(&sum, 0, sizeof(sum));
	return 0;
}

static inline int rebuild_stop(void **state)
{
	struct stat st;

	(void)state;
	/* The file keeps exactly its initial size. */
	assert_int_equal(stat(OUT ".partial", &st), 0);
	assert_int_equal(st.st_size, pt_layout_image_sz(layout));
	pt_rebuild_destroy(rebuild);
	pt_sink_close(sink);
	pt_layout_free(layout);
	return scratch_has(OUT ".partial");
}

/* page_builder: frames for an MTU; the smallest cuts pages most. */
static inline struct pt_builder page_builder(__u32 mtu)
{
	return kit_builder(&kit_links[0].link, mtu);
}

/* frame_close writes the staged records to frame; returns its bytes. */
static inline __u32 frame_close(struct pt_builder *b, __u32 generation,
				__u64 seq)
{
	const struct pt_frame_id id = {
		.session_id = 1,
		.seq = seq,
		.generation = generation,
	};

	return pt_builder_close(b, &kit_links[0].link, &id, NULL, frame);
}

/* frame_open reads the sz bytes at bytes, in one span or cut. */
static inline void frame_open(struct pt_reader *r, struct kit_spans *s,
			      const void *bytes, __u32 sz, __u32 piece_sz)
{
	kit_cut(s, bytes, sz, piece_sz, piece_sz);
	assert_int_equal(pt_reader_open(r, s->spans, s->cnt),
			 PT_VERDICT_STEERED);
	assert_true(pt_reader_auth_ok(r));
}

/* A batch, as in a queue: one reader and one run, and the frames stay until the
 * run was flushed. */
#define BATCH	64

static struct pt_sink_run run;
static struct kit_spans batch[BATCH];
static unsigned int batch_cnt;

static inline void batch_flush(void)
{
	struct pt_error err = { 0 };

	if (pt_rebuild_flush(rebuild, &run, &sum, &err))
		fail_msg("%s", err.text);
	assert_int_equal(run.sz, 0);
	while (batch_cnt)
		kit_free(&batch[--batch_cnt]);
}

/* batch_place checks and places a frame's bytes, cut in pieces of piece_sz. */
static inline void batch_place(const void *bytes, __u32 sz, __u32 piece_sz)
{
	static struct pt_reader r;
	struct pt_error err = { 0 };

	if (batch_cnt == BATCH)
		batch_flush();
	frame_open(&r, &batch[batch_cnt++], bytes, sz, piece_sz);
	assert_true(pt_rebuild_check(rebuild, &r));
	refusals.cnt = 0;
	if (pt_rebuild_place(rebuild, &run, &sum, &refusals, &r, &counts, &err))
		fail_msg("%s", err.text);
}

/* frame_place: a batch of one. */
static inline void frame_place(const void *bytes, __u32 sz)
{
	batch_place(bytes, sz, 3840);
	batch_flush();
}

/* place_page places a page, whole, in a generation. */
static inline void place_page(__u64 gfn, __u64 mask, const void *page,
			      __u32 generation)
{
	struct pt_builder b = page_builder(9000);

	assert_int_equal(pt_builder_add_page(&b, gfn, 0, mask, page), 64);
	frame_place(frame, frame_close(&b, generation, 0));
}

/* place_zero_run places a run in as many records as it takes, one per frame. */
static inline void place_zero_run(__u64 gfn, __u64 cnt, __u32 generation)
{
	while (cnt) {
		struct pt_builder b = page_builder(1280);
		__u64 run = cnt < PT_ZEROES_MAX ? cnt : PT_ZEROES_MAX;

		assert_true(pt_builder_add_zeroes(&b, gfn, run));
		frame_place(frame, frame_close(&b, generation, 0));
		gfn += run;
		cnt -= run;
	}
}

/* sink_read reads a page of the file: a read through the mapping would fill a
 * hole. */
static inline void sink_read(__u64 gfn, void *page)
{
	__u64 page_idx;
	ssize_t sz;
	int fd;

	assert_true(pt_layout_find(layout, gfn, &page_idx));
	fd = open(OUT ".partial", O_RDONLY);
	assert_true(fd >= 0);
	memset(page, 0, PT_PAGE_SZ);
	sz = pread(fd, page, PT_PAGE_SZ, pt_layout_image_off(layout,
							     page_idx));
	assert_true(sz > 0);
	close(fd);
}

/* sink_is_hole: nothing was ever written there. */
static inline bool sink_is_hole(__u64 gfn)
{
	__u64 page_idx;
	off_t off, data;
	int fd;

	assert_true(pt_layout_find(layout, gfn, &page_idx));
	off = pt_layout_image_off(layout, page_idx);
	fd = open(OUT ".partial", O_RDONLY);
	data = lseek(fd, off, SEEK_DATA);
	close(fd);
	return data < 0 || data >= off + PT_PAGE_SZ;
}

/* assert_content: page gfn holds page's content, and the digests of the
 * rebuild, computed anew, are its own. */
static inline void assert_content(__u64 gfn, const __u8 *page)
{
	__u8 got[PT_PAGE_SZ];

	sink_read(gfn, got);
	if (memcmp(got, page, PT_PAGE_SZ))
		fail_msg("page %llu differs", gfn);
}

/* region_digest returns a region's digest by the rebuild. */
static inline __u64 region_digest(__u64 region_idx)
{
	struct pt_error err = { 0 };
	__u64 digest;

	if (pt_rebuild_region_digest(rebuild, region_idx, &digest, &err))
		fail_msg("%s", err.text);
	return digest;
}

/* true_digest returns a page's digest, computed from its bytes alone. */
static inline __u64 true_digest(__u64 gfn, const void *page)
{
	return pt_digest_page(KEY, gfn, page);
}

#endif
