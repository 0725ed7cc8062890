// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The tracker that compares digests, of files, of a process and of our own
 * memory. */
#include "track_kit.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define RAM SCRATCH "/ram"
#define RAM_PAGES (3 * 512u + 100)
#define KEY 0x5eed

struct watched {
	int fd;
	struct pt_source *src;
	struct pt_layout *layout;
	struct pt_digests digests;	/* of what was sent */
	struct pt_tracker *tracker;
};

/* send_all: all pages are sent as they are now. */
static void send_all(struct watched *w)
{
	struct pt_error err = { 0 };

	if (sent_as_now(w->src, w->layout, KEY, &w->digests, &err))
		fail_msg("%s", err.text);
}

/* watch takes the source that is open already. */
static void watch(struct watched *w)
{
	const struct pt_segment *segs;
	struct pt_error err = { 0 };
	struct pt_track_target target = { .src = w->src, .digest_key = KEY };
	__u32 cnt;

	segs = pt_source_segments(w->src, &cnt);
	if (pt_layout_create(&w->layout, segs, cnt, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_digests_init(&w->digests,
					 pt_layout_region_cnt(w->layout)), 0);
	target.layout = w->layout;
	target.digests = &w->digests;
	if (pt_tracker_open_digest(&w->tracker, &target, &err))
		fail_msg("%s", err.text);
	arm(w->tracker);
	send_all(w);
}

static void unwatch(struct watched *w)
{
	pt_tracker_close(w->tracker);
	pt_digests_free(&w->digests);
	pt_layout_free(w->layout);
	pt_source_close(w->src);
	if (w->fd >= 0)
		close(w->fd);
}

/* expect_sent: exactly these pages are reported, and then sent. */
#define expect_sent(w, ...) do {					\
	expect_seen((w)->tracker, ##__VA_ARGS__);			\
	send_all(w);							\
} while (0)

static void page_write(const struct watched *w, __u64 page, __u8 byte)
{
	scratch_write(w->fd, page * PAGE + 77, &byte, 1);
}

static void punch(const struct watched *w, __u64 page, __u64 cnt)
{
	assert_int_equal(fallocate(w->fd, FALLOC_FL_PUNCH_HOLE |
				   FALLOC_FL_KEEP_SIZE, page * PAGE,
				   cnt * PAGE), 0);
}

static void set_up(struct watched *w, enum pt_files how)
{
	const char *path = RAM;
	struct pt_error err = { 0 };

	w->fd = scratch_file(RAM, RAM_PAGES * PAGE);
	for (__u64 page = 0; page < 600; page++)
		page_write(w, page, 1 + page % 100);
	if (pt_source_open_files_as(&w->src, how, &path, 1, &err))
		fail_msg("%s", err.text);
	watch(w);
}

static void check_a_file(enum pt_files how)
{
	struct watched w;

	set_up(&w, how);
	expect_sent(&w);
	page_write(&w, 0, 200);
	page_write(&w, 63, 200);
	page_write(&w, 64, 200);
	page_write(&w, 511, 200);
	page_write(&w, 512, 200);
	expect_sent(&w, 0, 63, 64, 511, 512);
	expect_sent(&w);
	page_write(&w, 511, 200);		/* the same bytes */
	expect_sent(&w);

	/* Holes come and go. */
	punch(&w, 7, 2);
	expect_sent(&w, 7, 8);
	page_write(&w, 7, 8);
	page_write(&w, 1200, 1);
	page_write(&w, RAM_PAGES - 1, 1);
	expect_sent(&w, 7, 1200, RAM_PAGES - 1);
	page_write(&w, 1100, 1);
	expect_sent(&w, 1100);
	punch(&w, 0, RAM_PAGES);
	page_write(&w, 5, 6);			/* the byte that it had */
	{
		struct seen seen;

		collect(w.tracker, &seen);
		assert_int_equal(seen.cnt, 599 - 1 + 3);
		assert_int_equal(seen.pages[5], 0);
		assert_int_equal(seen.pages[8], 0);
		send_all(&w);
	}
	expect_sent(&w);
	unwatch(&w);
}

static void test_file_that_is_written(void **state)
{
	(void)state;
	check_a_file(PT_FILES_LIVE);
}

static void test_file_that_is_mapped(void **state)
{
	(void)state;
	check_a_file(PT_FILES_STILL);
}

/* A look compares with the sent bytes, not with those of the last look. */
static void test_what_was_sent(void **state)
{
	struct watched w;

	(void)state;
	set_up(&w, PT_FILES_LIVE);
	page_write(&w, 9, 99);
	expect_seen(w.tracker, 9);
	expect_seen(w.tracker, 9);		/* not sent yet */
	page_write(&w, 9, 1 + 9);		/* the byte that was sent */
	expect_seen(w.tracker);
	/* Sent with a byte that no look saw. */
	page_write(&w, 9, 99);
	send_all(&w);
	page_write(&w, 9, 1 + 9);
	expect_sent(&w, 9);
	/* A page of data whose digest was forgotten, and one of zeroes. */
	pt_digests_forget(&w.digests, 20, 1);
	pt_digests_forget(&w.digests, 700, 1);
	expect_seen(w.tracker, 20);
	unwatch(&w);
}

static void test_what_it_says_of_itself(void **state)
{
	struct watched w;

	(void)state;
	set_up(&w, PT_FILES_LIVE);
	assert_string_equal(pt_tracker_name(w.tracker), "digest");
	assert_true(pt_tracker_odds(w.tracker) == 0x1p-64);
	assert_int_equal(pt_tracker_misses(w.tracker), 0);
	unwatch(&w);
	pt_tracker_close(NULL);
}

static void cancel_dirty(void *arg, __u64 page_idx, __u32 cnt)
{
	const struct watched *w = arg;

	(void)page_idx;
	(void)cnt;
	pt_tracker_cancel(w->tracker);
}

/* As another thread would, in the middle of a look. */
static void test_cancelled(void **state)
{
	struct pt_error err = { 0 };
	struct watched w;

	(void)state;
	set_up(&w, PT_FILES_LIVE);
	for (__u64 page = 0; page < RAM_PAGES; page++)
		page_write(&w, page, 222);
	assert_int_equal(pt_tracker_collect(w.tracker, &(struct pt_track_to){
			.dirty = cancel_dirty, .arg = &w }, &err), -ECANCELED);
	assert_int_equal(pt_tracker_collect(w.tracker, &(struct pt_track_to){
			.dirty = cancel_dirty, .arg = &w }, &err), -ECANCELED);
	unwatch(&w);
}

/* One bit anywhere in a page. */
static void test_each_bit(void **state)
{
	static __u8 page[PAGE];
	struct watched w;

	(void)state;
	set_up(&w, PT_FILES_LIVE);
	for (__u32 bit = 0; bit < PAGE * 8; bit += 509) {
		assert_int_equal(pread(w.fd, page, PAGE, 3 * PAGE), PAGE);
		page[bit / 8] ^= 1 << bit % 8;
		scratch_write(w.fd, 3 * PAGE, page, PAGE);
		expect_sent(&w, 3);
	}
	unwatch(&w);
}

static void check_cut_short(enum pt_files how)
{
	struct pt_error err = { 0 };
	struct seen seen = { .cnt = 0 };
	struct pt_track_to to = { .dirty = seen_dirty, .arg = &seen };
	struct watched w;

	set_up(&w, how);
	page_write(&w, 2, 222);
	assert_int_equal(ftruncate(w.fd, 100 * PAGE), 0);
	assert_int_equal(pt_tracker_collect(w.tracker, &to, &err), -EIO);
	assert_non_null(strstr(err.text, "ram"));
	unwatch(&w);
}

static void test_file_that_is_cut_short(void **state)
{
	(void)state;
	check_cut_short(PT_FILES_LIVE);
	check_cut_short(PT_FILES_STILL);
}

static void test_memory_of_our_own(void **state)
{
	struct pt_error err = { 0 };
	struct watched w = { .fd = -1 };
	struct pt_region region = { .gfn = 1000, .sz = 700 * PAGE };
	__u8 *map = mmap(NULL, region.sz, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(map != MAP_FAILED);
	memset(map, 1, 600 * PAGE);
	region.addr = map;
	if (pt_source_open_regions(&w.src, &region, 1, &err))
		fail_msg("%s", err.text);
	watch(&w);
	expect_sent(&w);
	map[17 * PAGE] = 2;
	map[699 * PAGE + 4095] = 2;
	expect_sent(&w, 17, 699);
	madvise(map + 18 * PAGE, PAGE, MADV_DONTNEED);
	expect_sent(&w, 18);
	unwatch(&w);
	munmap(map, region.sz);
}

/* The child writes one byte of the page of each number that it reads. */
static pid_t child_start(__u8 *map, int *to, int *from)
{
	int ask[2], answer[2];
	__u64 page;
	pid_t pid;

	assert_int_equal(pipe(ask) + pipe(answer), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ask[1]);
		while (read(ask[0], &page, sizeof(page)) == sizeof(page)) {
			map[page * PAGE]++;
			if (write(answer[1], "", 1) != 1)
				break;
		}
		_exit(0);
	}
	close(ask[0]);
	close(answer[1]);
	*to = ask[1];
	*from = answer[0];
	return pid;
}

static void test_process_that_runs(void **state)
{
	__u8 *map = mmap(NULL, 700 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pt_error err = { 0 };
	struct watched w = { .fd = -1 };
	static struct seen seen;
	int to, from, status;
	__u64 idx;
	pid_t pid;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();		/* 16 TiB of its own, private and writable */
#endif
	assert_true(map != MAP_FAILED);
	memset(map, 1, 700 * PAGE);
	pid = child_start(map, &to, &from);
	if (pt_source_open_pid(&w.src, pid, true, &err))
		fail_msg("%s", err.text);
	watch(&w);
	for (__u64 page = 0; page < 700; page += 233) {
		char byte;

		assert_int_equal(write(to, &page, sizeof(page)), sizeof(page));
		assert_int_equal(read(from, &byte, 1), 1);
		collect(w.tracker, &seen);
		assert_true(pt_layout_find(w.layout, (__u64)map / PAGE + page,
					   &idx));
		assert_int_equal(seen.pages[idx], 1);
		assert_int_equal(seen.pages[idx + 1], 0);
		send_all(&w);
	}
	close(to);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(pt_tracker_collect(w.tracker, &(struct pt_track_to){
			.dirty = seen_dirty, .arg = &seen }, &err), -ESRCH);
	close(from);
	unwatch(&w);
	munmap(map, 700 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_that_is_written),
		cmocka_unit_test(test_file_that_is_mapped),
		cmocka_unit_test(test_what_was_sent),
		cmocka_unit_test(test_what_it_says_of_itself),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_file_that_is_cut_short),
		cmocka_unit_test(test_memory_of_our_own),
		cmocka_unit_test(test_process_that_runs),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
