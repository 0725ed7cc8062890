// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* I/O that was in flight when the tracker was armed, and is not reported: the
 * stop compares all memory, unless that I/O was drained.  write(2) to the file of
 * the memory stands for such I/O, since no tracker reports it either. */
#include "track_kit.h"

#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "live/live.h"

/* The suite runs in a namespace of process IDs of its own, whose outside cannot be
 * looked at; it is taken for the first. */
#define pt_processes_are_all are_all_of_the_host
#include "../../user/memory/processes.c"
#undef pt_processes_are_all

bool pt_processes_are_all(const struct pt_processes *all)
{
	return all->has_first;
}

#define RAM SCRATCH "/ram"
#define PAGES 1024u
#define KEY 0x5eed
#define IN_FLIGHT 700	/* the page that it writes */
#define WAIT_MS 20000

static int ram, drained;	/* drain returns it; 1: there is no drain */
static void *map;
static struct pt_source *src;
static struct pt_layout *layout;
static struct pt_digests digests;
static struct pt_live *live;
static struct pt_live_cfg cfg;
static struct pt_track_range range;
static struct pt_error err;

static void land(int byte)
{
	scratch_write(ram, IN_FLIGHT * PAGE + 5, &byte, 1);
}

/* drain: the data lands before all is read. */
static int drain(void *arg, struct pt_error *why)
{
	(void)arg;
	if (drained)
		return pt_error_set(why, PT_EXIT_HOST, drained, "no drain");
	land(2);
	return 0;
}

/* each_hidden calls fn with the folder of each process that cannot be looked at. */
static unsigned int each_hidden(void (*fn)(const char *folder))
{
	DIR *all = opendir("/proc");
	const struct dirent *entry;
	unsigned int cnt = 0;
	char path[300];
	int fd;

	assert_non_null(all);
	while ((entry = readdir(all))) {
		snprintf(path, sizeof(path), "/proc/%s/maps", entry->d_name);
		fd = open(path, O_RDONLY);
		if (fd >= 0)
			close(fd);
		else if (errno == EACCES || errno == EPERM) {
			path[strlen(path) - 5] = '\0';
			cnt++;
			if (fn)
				fn(path);
		}
	}
	closedir(all);
	return cnt;
}

static unsigned int hidden_cnt(void)
{
	return each_hidden(NULL);
}

/* cover makes a process look as if it had ended, in this mount namespace. */
static void cover(const char *folder)
{
	assert_int_equal(mount("none", folder, "tmpfs", 0, NULL), 0);
}

static void hide_hidden(void)
{
	each_hidden(cover);
}

static void job_done(enum pt_live_job job)
{
	struct pollfd p = { .fd = cfg.wake_fd, .events = POLLIN };
	int ret;

	pt_live_do(live, job, 0);
	while (!(ret = pt_live_result(live, &err))) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		eventfd_read(cfg.wake_fd, &(eventfd_t){ 0 });
	}
	if (ret < 0)
		fail_msg("job %d: %s", job, err.text);
}

static void start(int what)
{
	const struct pt_segment *segs;
	const char *path = RAM;
	__u32 cnt;

	drained = what;
	ram = scratch_file(RAM, PAGES * PAGE);
	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ram,
		   0);
	assert_ptr_not_equal(map, MAP_FAILED);
	for (__u64 page = 0; page < PAGES; page++)
		((char *)map)[page * PAGE] = 1;
	assert_int_equal(pt_source_open_files_as(&src, PT_FILES_LIVE, &path, 1,
						 &err), 0);
	segs = pt_source_segments(src, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	assert_int_equal(pt_digests_init(&digests, PAGES / PT_REGION_PAGES), 0);
	range = (struct pt_track_range){ .addr = (__u64)map,
					 .sz = PAGES * PAGE };
	cfg = (struct pt_live_cfg){
		.source = src, .layout = layout, .digests = &digests,
		.digest_key = KEY, .pid = getpid(), .ranges = &range,
		.range_cnt = 1, .tracker = PT_LIVE_TRACKER_WP,
		.guest = { .drain = what == 1 ? NULL : drain },
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	assert_int_equal(pt_live_start(&live, &cfg, &err), 0);
	job_done(PT_LIVE_ARM);
	assert_int_equal(pt_live_report(live)->is_settled,
			 !pt_live_report(live)->compare_why[0]);
	assert_int_equal(sent_as_now(src, layout, KEY, &digests, &err), 0);
}

static void stop(void)
{
	pt_live_abandon(live, false);
	pt_live_free(live);
	close(cfg.wake_fd);
	pt_digests_free(&digests);
	pt_layout_free(layout);
	pt_source_close(src);
	munmap(map, PAGES * PAGE);
	close(ram);
}

/* start_settled: the first round settles all.  A process that cannot be looked at may
 * begin at any moment on this machine; it is hidden, too. */
static void start_settled(void)
{
	for (int tries = 0; tries < 20; tries++) {
		start(0);
		if (pt_live_report(live)->is_settled)
			return;
		stop();
		hide_hidden();
	}
	fail_msg("never settled");
}

/* expect_found: the stop finds so many pages, and compares so many. */
static void expect_found(__u64 found_cnt)
{
	job_done(PT_LIVE_STOP);
	assert_int_equal(pt_live_report(live)->recheck_cnt, found_cnt);
	stop();
}

/* Data that lands after the first round is found by comparing all memory. */
static void lands_late(int what)
{
	start(what);
	assert_false(pt_live_report(live)->is_settled);
	land(3);
	expect_found(1);
}

static void test_no_drain(void **state)
{
	(void)state;
	lands_late(1);
}

static void test_failed(void **state)
{
	(void)state;
	lands_late(-EOPNOTSUPP);
}

/* Data that was drained went with the first round: only reported pages are compared,
 * so the one that this test changes unseen is not. */
static void test_drained(void **state)
{
	(void)state;
	start_settled();
	expect_found(0);
	start_settled();
	land(3);
	((char *)map)[9 * PAGE] = 9;
	expect_found(1);
}

/* I/O of another process that maps the memory is not drained. */
static void test_other_process(void **state)
{
	int to[2], from[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(to) | pipe(from), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct pollfd p = { .fd = to[0], .events = POLLIN };
		int fd;

		if (read(to[0], &byte, 1) != 1)
			_exit(1);
		fd = open(RAM, O_RDWR);
		if (mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0) == MAP_FAILED || write(from[1], "m", 1) != 1)
			_exit(1);
		close(to[1]);
		/* The tracker enters a process that waits in poll(2). */
		poll(&p, 1, WAIT_MS);
		_exit(0);
	}
	scratch_file(RAM, PAGES * PAGE);
	assert_int_equal(write(to[1], "g", 1), 1);
	assert_int_equal(read(from[0], &byte, 1), 1);
	start(0);
	assert_false(pt_live_report(live)->is_settled);
	stop();
	close(to[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(to[0]);
	close(from[0]);
	close(from[1]);
}

/* Each write of a process that cannot be looked at may be missed. */
static void test_hidden(void **state)
{
	(void)state;
	if (!hidden_cnt())
		return;		/* all can be looked at here */
	start(0);
	assert_false(pt_live_report(live)->is_settled);
	stop();
	start_settled();
	stop();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_no_drain),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_drained),
		cmocka_unit_test(test_other_process),
	};

	if (tests_end_early())
		return SKIPPED;
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
