/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lane_kit: a lane, with a worker of its own, between a real source and a network
 * of the test's own, see lane_net. */
#ifndef TEST_LANE_KIT_H
#define TEST_LANE_KIT_H

#include "lane_net.h"

#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "guard_again.h"
#include "lane/worker.h"
#include "trim/digest.h"

#define SESSION	0x99
#define KEY	5
#define WAIT_NS	20000000000ULL		/* for an expected event */

static struct pt_source *source;
static struct pt_layout *layout;
static struct pt_send_job job;
static struct pt_pacer pacer;
static struct pt_digests digests;
static void *slabs[SLOTS];
static struct pt_worker *worker;

/* lane_init is called once, from main(), as root. */
static int lane_init(void)
{
	for (int i = 0; i < SLOTS; i++)
		assert_non_null(slabs[i] = aligned_alloc(4096, 69632));
	guard_again();
	return scratch_mount();
}

static void make_ram(void)
{
	int fd = scratch_file(RAM, sizeof(ram) - net.short_sz);
	__u64 random = 8;

	memset(ram, 0, sizeof(ram));
	for (__u32 i = 0; i < PAGES; i++) {
		__u64 mask = kit_random(&random) % 3 ? kit_mask(&random) : 0;

		for (__u64 left = mask; left; left &= left - 1)
			kit_fill(&ram[i][__builtin_ctzll(left) * 64], 64,
				 &random);
	}
	if (net.shape)
		net.shape();
	scratch_write(fd, 0, ram, sizeof(ram) - net.short_sz);
	close(fd);
}

/* open_files opens the source: one file of RAM, or one file per region. */
static int open_files(struct pt_error *err)
{
	static char names[FILES_MAX][sizeof(RAM "0")];
	const char *paths[FILES_MAX] = { RAM };
	unsigned int cnt = 0;

	for (; cnt < FILES_MAX && net.file_pages[cnt]; cnt++) {
		__u32 sz = net.file_pages[cnt] * PT_PAGE_SZ - net.short_sz;
		__u8 *from = ram[cnt * PT_REGION_PAGES];
		int fd;

		snprintf(names[cnt], sizeof(names[cnt]), RAM "%u", cnt);
		paths[cnt] = names[cnt];
		memset(from + sz, 0, net.short_sz);
		fd = scratch_file(paths[cnt], sz);
		scratch_write(fd, 0, from, sz);
		close(fd);
	}
	return pt_source_open_files(&source, paths, cnt ? cnt : 1, err);
}

/* open_live opens ram itself, or its file, which others write. */
static int open_live(struct pt_error *err)
{
	const struct pt_region region = { .addr = ram, .sz = sizeof(ram) };
	const char *path = RAM;

	return net.live == LIVE_REGIONS
		? pt_source_open_regions(&source, &region, 1, err)
		: pt_source_open_files_as(&source, PT_FILES_LIVE, &path, 1,
					  err);
}

/* hold: the receiver holds the page already. */
static void hold(__u32 page)
{
	memcpy(copy[page], ram[page], PT_PAGE_SZ);
	pt_digests_set(&digests, page, pt_digest_page(KEY, page, ram[page]));
}

/* start: the lane probes; all pages are dirty but for the held ones. */
static void start(const struct net *with)
{
	struct pt_lane_cfg cfg = {
		.job = &job, .link = kit_links[0].link, .tx_queue = 3,
		.seq_max = with->seq_max, .probe_max = with->probe_max,
		.generation_max = with->generation_max,
	};
	const struct pt_segment *segs;
	struct pt_error err = { 0 };
	struct pt_lane *l;
	__u32 cnt;

	guard_again();
	net = *with;
	make_ram();
	full_cnt = data_cnt = probe_cnt = sync_cnt = set_cnt = set_sz = 0;
	sent_desc = freed_desc = lost_desc = 0;
	cost_max = cost_cnt = 0;
	random_state = 12;
	now_ns = 1000 * PT_REORDER_MIN_NS;
	memset(&rx, 0, sizeof(rx));
	memset(copy, 0xee, sizeof(copy));
	memset(generations, 0, sizeof(generations));
	memset(carried, 0, sizeof(carried));
	memset(named, 0, sizeof(named));
	delta_cnt = 0;
	cum_ack = copy_cnt = refused_cnt = refused_all_cnt = copy_seen_cnt = 0;
	queued_cnt = 0;
	buffer_cnt = SLOTS;
	memcpy(buffers, slabs, sizeof(buffers));

	assert_int_equal(net.live ? open_live(&err) : open_files(&err), 0);
	segs = pt_source_segments(source, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	job = (struct pt_send_job){
		.source = source, .layout = layout, .digests = &digests,
		.digest_key = KEY, .copies = net.copies,
		.arrivals = net.arrivals,
		.compressions = net.method ? 1 << net.method : 0,
		.compress_level = 1,
		.delta_cache_sz = net.delta_cache_sz, .trim = PT_TRIM_BLOCKS,
		.session_id = SESSION, .desc_sz = DESC_SZ,
		.frame_sz_max = PT_ETH_SZ + (net.mtu_max ? net.mtu_max
							  : net.mtu),
		.wake_fd = eventfd(0, EFD_NONBLOCK),
		.progress_ns = net.progress_ms ? net.progress_ms * 1000000ULL
					       : WAIT_NS,
	};
	assert_int_equal(pt_dirty_create(&job.dirty,
					 pt_layout_region_cnt(layout)), 0);
	assert_int_equal(pt_digests_init(&digests,
					 pt_layout_region_cnt(layout)), 0);
	for (__u64 i = 0; i < PAGES; i++) {
		if (net.is_held && net.is_held(i))
			hold(i);
		else
			pt_dirty_set(job.dirty, i, 1);
	}
	pacer = (struct pt_pacer){ .bytes_per_s = net.bytes_per_s };
	job.pacer = net.bytes_per_s ? &pacer : NULL;
	lane = NULL;
	assert_int_equal(pt_worker_open(&worker, &(struct pt_worker_cfg){ 0 }), 0);
	cfg.worker = worker;
	assert_int_equal(pt_lane_start(&l, &cfg, &err), 0);
	lane = l;
}

static void stop(void)
{
	pt_lane_stop(lane);
	pt_worker_close(worker);
	pt_dirty_destroy(job.dirty);
	pt_digests_free(&digests);
	pt_layout_free(layout);
	pt_source_close(source);
	close(job.wake_fd);
}

static void reach(enum pt_lane_state want)
{
	__u64 deadline = pt_clock_ns() + WAIT_NS;

	while (pt_lane_state(lane) != want && pt_clock_ns() < deadline)
		usleep(200);
	if (pt_lane_state(lane) == PT_LANE_FAILED && want != PT_LANE_FAILED) {
		struct pt_error err;

		pt_lane_error(lane, &err);
		fail_msg("failed: %s", err.text);
	}
	assert_int_equal(pt_lane_state(lane), want);
}

static void run_to_clean(void)
{
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_CLEAN);
}

#endif
