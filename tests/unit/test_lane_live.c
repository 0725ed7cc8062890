// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A source that is written while it is sent, by a thread at random, and by the
 * lane's own between the scan of pages and their sending.  In any order of
 * writes the receiver's content matches the sender's digests: mask, digest and
 * bytes come from one read. */
#include "lane_kit.h"

#include <pthread.h>
#include <sys/mman.h>

#define WINDOW	1536
#define SCRIBBLES 40		/* blocks, whenever a frame is made */

static __u8 *_Atomic live;		/* the source's bytes */
static atomic_bool stop_writing;
static _Atomic __u64 written;	/* blocks */

/* scribble makes one block zero, or another, or full. */
static void scribble(__u64 *random)
{
	__u64 at = kit_random(random) % (sizeof(ram) / 64) * 64;

	if (kit_random(random) % 2)
		memset(live + at, 0, 64);
	else
		kit_fill(live + at, 64, random);
	atomic_fetch_add(&written, 1);
}

static void *writer(void *arg)
{
	__u64 random = 77;

	(void)arg;
	while (!atomic_load(&stop_writing))
		scribble(&random);
	return NULL;
}

/* between also changes the pages of the frame in progress, which are near those
 * that were sent last. */
static void between(void)
{
	static __u64 random = 5;
	static __u32 page;

	for (int i = 0; i < SCRIBBLES; i++)
		scribble(&random);
	for (int i = 0; i < 64; i++)
		memset(live + ((page + i) % PAGES) * PT_PAGE_SZ +
		       kit_random(&random) % 64 * 64, i % 3 ? 0 : 0xa5, 64);
	page = (page + 7) % PAGES;
}

static void open_bytes(void)
{
	int fd;

	live = ram[0];
	if (net.live != LIVE_FILE)
		return;
	fd = open(RAM, O_RDWR);
	live = mmap(NULL, sizeof(ram), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	assert_ptr_not_equal(live, MAP_FAILED);
	close(fd);
}

static const struct net nets[] = {
	{ "regions, MTU 1500", .mtu = 1500, .window = WINDOW,
	  .live = LIVE_REGIONS },
	{ "regions, MTU 65535", .mtu = 65535, .window = WINDOW,
	  .live = LIVE_REGIONS },
	{ "regions, 1 of 20 lost, copies asked for", .mtu = 9000,
	  .window = WINDOW, .live = LIVE_REGIONS, .loss_pct = 5,
	  .copies = true },
	{ "file, MTU 1500", .mtu = 1500, .window = WINDOW, .live = LIVE_FILE },
	{ "file, 1 of 20 lost, copies asked for", .mtu = 9000,
	  .window = WINDOW, .live = LIVE_FILE, .loss_pct = 5, .copies = true },
};

static void test_net(void **state)
{
	struct net with = *(const struct net *)*state;
	pthread_t thread;
	__u64 before;

	with.meanwhile = between;
	live = ram[0];		/* until the file is there */
	start(&with);
	open_bytes();
	atomic_store(&stop_writing, false);
	before = atomic_load(&written);
	assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
	run_to_clean();
	atomic_store(&stop_writing, true);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&written) - before > data_cnt);
	for (__u32 i = 0; i < PAGES; i++)
		if (pt_digests_get(&digests, i) !=
		    pt_digest_page(KEY, i, copy[i]))
			fail_msg("page %u: not what was sent", i);
	assert_int_equal(copy_cnt, 0);	/* nothing says that they are equal */
	stop();
	if (with.live == LIVE_FILE)
		munmap(live, sizeof(ram));
}

/* A hole that the first round saw is filled, and its page is of the second. */
static void filled_hole(void **state)
{
	const struct net with = { "a hole", .mtu = 9000, .window = WINDOW,
				  .live = LIVE_FILE };
	const __u32 page = 2 * PT_REGION_PAGES + 7;
	__u64 deadline = pt_clock_ns() + WAIT_NS, random = 3;
	__u8 bytes[PT_PAGE_SZ];
	int fd;

	(void)state;
	start(&with);
	fd = open(RAM, O_RDWR);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				   FALLOC_FL_KEEP_SIZE, PT_REGION_SZ,
				   sizeof(ram) - PT_REGION_SZ), 0);
	run_to_clean();
	kit_fill(bytes, sizeof(bytes), &random);
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), page * PT_PAGE_SZ),
			 sizeof(bytes));
	pt_dirty_set(job.dirty, page, 1);
	pt_inbox_round(pt_lane_inbox(lane), 1);
	while (atomic_load(&pt_lane_counts(lane)->round_done) != 1 &&
	       pt_clock_ns() < deadline)
		usleep(200);
	reach(PT_LANE_CLEAN);
	assert_memory_equal(copy[page], bytes, PT_PAGE_SZ);
	stop();
	close(fd);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(nets) / sizeof(nets[0]) + 1];

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		tests[i] = (struct CMUnitTest){
			.name = nets[i].name,
			.test_func = test_net,
			.initial_state = (void *)&nets[i],
		};
	tests[sizeof(nets) / sizeof(nets[0])] =
		(struct CMUnitTest)cmocka_unit_test(filled_hole);
	if (lane_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
