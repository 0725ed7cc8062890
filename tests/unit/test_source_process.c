// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A real child with threads as the source. */
#include "victim.h"

static const struct pt_segment *segment_at(const struct pt_source *src,
					   const void *addr)
{
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_source_segments(src, &cnt);
	for (__u32 i = 0; i < cnt; i++)
		if ((__u64)addr / PAGE >= segs[i].gfn &&
		    (__u64)addr / PAGE <
			    segs[i].gfn + pt_segment_page_cnt(&segs[i]))
			return &segs[i];
	return NULL;
}

/* look views a region and loads all of it. */
static int look(struct pt_source *src, struct pt_view *v,
		const struct pt_layout *l, __u64 region_idx,
		struct pt_error *err)
{
	int ret = pt_source_view(src, v, l, region_idx, err);

	for (__u32 first = 0; !ret && first < v->page_cnt; first += 64)
		ret = pt_view_load(src, v, first, pt_view_word(v, first), err);
	return ret;
}

/* peek reads one byte of the process through a view; *is_hole: the view did not
 * read it.  pt_source_page must return the same. */
static __u8 peek(struct pt_source *src, const struct pt_layout *l,
		 struct pt_view *v, const void *addr, bool *is_hole)
{
	struct pt_error err = { 0 };
	__u8 again[PAGE];
	__u64 idx;
	__u32 page;

	assert_true(pt_layout_find(l, (__u64)addr / PAGE, &idx));
	if (look(src, v, l, idx / 512, &err))
		fail_msg("%s", err.text);
	page = idx % 512;
	*is_hole = pt_view_is_hole(v, page);
	if (*is_hole)
		return 0;
	assert_ptr_equal(pt_source_page(src, l, idx, again), again);
	assert_int_equal(again[(__u64)addr % PAGE],
			 v->pages[page * PAGE + (__u64)addr % PAGE]);
	return again[(__u64)addr % PAGE];
}

/* look_at returns a byte of the process as a view shows it. */
static __u8 look_at(struct pt_source *src, const struct pt_layout *l,
		    struct pt_view *v, const void *addr)
{
	struct pt_error err = { 0 };
	__u64 idx;

	assert_true(pt_layout_find(l, (__u64)addr / PAGE, &idx));
	if (look(src, v, l, idx / 512, &err))
		fail_msg("%s", err.text);
	return v->pages[idx % 512 * PAGE + (__u64)addr % PAGE];
}

static struct pt_layout *layout_of(struct pt_source *src)
{
	const struct pt_segment *segs;
	struct pt_layout *l = NULL;
	struct pt_error err = { 0 };
	__u32 cnt;

	segs = pt_source_segments(src, &cnt);
	if (pt_layout_create(&l, segs, cnt, &err))
		fail_msg("%s", err.text);
	return l;
}

static void check_content(bool keep_running)
{
	pid_t pid = child_start();
	struct pt_error err = { 0 };
	struct pt_source *src;
	struct pt_layout *l;
	struct pt_view v;
	bool is_hole;

	if (pt_source_open_pid(&src, pid, keep_running, &err))
		fail_msg("%s", err.text);
	l = layout_of(src);
	pt_view_init(&v);

	assert_int_equal(peek(src, l, &v, shared->anon + 10, &is_hole), 1);
	assert_false(is_hole);
	assert_false(v.is_stable);
	peek(src, l, &v, shared->anon + PAGE, &is_hole);
	assert_true(is_hole);		/* never touched: never read */
	assert_int_equal(peek(src, l, &v, shared->anon + REGION + 5 * PAGE,
			      &is_hole), 2);
	assert_int_equal(peek(src, l, &v, shared->anon + ANON_SZ - 1,
			      &is_hole), 3);

	/* A private mapping of a file: written pages, and the rest. */
	assert_int_equal(peek(src, l, &v, shared->file, &is_hole), 'f');
	assert_int_equal(peek(src, l, &v, shared->file + 1, &is_hole), 'I');
	assert_int_equal(peek(src, l, &v, shared->file + PAGE, &is_hole), 's');
	assert_false(is_hole);
	assert_string_equal(segment_at(src, shared->file)->name, "data");

	/* Mappings that are left out. */
	assert_null(segment_at(src, shared));
	assert_non_null(shared->of_all);
	assert_null(segment_at(src, shared->of_all));
	assert_null(segment_at(src, shared->readonly));
	assert_null(segment_at(src, (void *)check_content));

	/* A variable of the test, in the child's copy; and its stack, where a
	 * sanitizer may keep no variables. */
	assert_int_equal(peek(src, l, &v, &shared, &is_hole),
			 (__u64)shared & 0xff);
	assert_string_equal(segment_at(src, __builtin_frame_address(0))->name,
			    "[stack]");

	assert_int_equal(peek(src, l, &v, shared->guarded, &is_hole), 4);
	peek(src, l, &v, shared->guarded + PAGE, &is_hole);
	assert_true(is_hole == !!shared->has_guard);

	assert_int_equal(pt_source_fault(src, v.pages, &err), 0);
	pt_view_free(&v);
	pt_layout_free(l);
	pt_source_close(src);
	child_end(pid);
}

static void test_content(void **state)
{
	(void)state;
	check_content(false);
}

static void test_content_of_a_running_one(void **state)
{
	(void)state;
	check_content(true);
}

/* Regions that are holes leave the buffer to others: else each would be a frame of its
 * own, and a sanitizer's terabytes seven million frames. */
static void test_holes_take_no_room(void **state)
{
	pid_t pid = child_start();
	struct pt_error err = { 0 };
	struct pt_source *src;
	struct pt_layout *l;
	struct pt_view v;
	bool is_hole;

	(void)state;
	assert_int_equal(pt_source_open_pid(&src, pid, false, &err), 0);
	l = layout_of(src);
	pt_view_init(&v);
	peek(src, l, &v, shared->sparse + REGION, &is_hole);
	assert_true(is_hole);
	assert_true(pt_view_is_hole_whole(&v));
	assert_true(pt_view_keeps(&v, 512));
	pt_view_free(&v);
	pt_layout_free(l);
	pt_source_close(src);
	child_end(pid);
}

static void test_stands_until_closed(void **state)
{
	pid_t pid = child_start();
	struct pt_source *src;

	(void)state;
	assert_int_equal(pt_source_open_pid(&src, pid, true, NULL), 0);
	assert_runs();
	pt_source_close(src);
	assert_int_equal(pt_source_open_pid(&src, pid, false, NULL), 0);
	assert_stands();
	/* A signal that arrives meanwhile is not lost. */
	assert_int_equal(kill(pid, SIGUSR1), 0);
	usleep(1000);
	assert_int_equal(shared->signals, 0);
	pt_source_close(src);
	assert_runs();
	for (int ms = 0; !shared->signals; ms++) {
		assert_true(ms < 5000);
		usleep(1000);
	}
	child_end(pid);
}

/* Signals arrive all the time while it is stopped and resumed: none is lost,
 * and no thread stays stopped. */
static void test_stopped_again_and_again_under_signals(void **state)
{
	pid_t pid = child_start(), sender;
	struct pt_source *src;
	int before;

	(void)state;
	sender = fork();
	if (!sender) {
		for (;;)
			kill(pid, SIGUSR1);
	}
	for (int i = 0; i < 50; i++) {
		assert_int_equal(pt_source_open_pid(&src, pid, false, NULL), 0);
		pt_source_close(src);
	}
	kill(sender, SIGKILL);
	assert_int_equal(waitpid(sender, NULL, 0), sender);
	assert_runs();
	before = shared->signals;
	kill(pid, SIGUSR1);
	for (int ms = 0; shared->signals == before; ms++) {
		assert_true(ms < 5000);
		usleep(1000);
	}
	child_end(pid);
}

static void test_runs_on_when_we_are_killed(void **state)
{
	pid_t pid = child_start(), tracer;
	int to_us[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(to_us), 0);
	tracer = fork();
	if (!tracer) {
		struct pt_source *src;

		byte = pt_source_open_pid(&src, pid, false, NULL) ? 'x' : 'k';
		if (write(to_us[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(to_us[0], &byte, 1), 1);
	assert_int_equal(byte, 'k');
	assert_stands();
	kill(tracer, SIGKILL);
	assert_int_equal(waitpid(tracer, NULL, 0), tracer);
	assert_runs();
	close(to_us[0]);
	close(to_us[1]);
	child_end(pid);
}

static void test_one_that_was_stopped_stays_so(void **state)
{
	pid_t pid = child_start();
	struct pt_source *src;
	int status;

	(void)state;
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(pt_source_open_pid(&src, pid, false, NULL), 0);
	pt_source_close(src);
	assert_stands();
	kill(pid, SIGCONT);
	assert_runs();
	child_end(pid);
}

static void test_killed_while_it_is_read(void **state)
{
	for (int keep_running = 0; keep_running < 2; keep_running++) {
		pid_t pid = child_start();
		struct pt_error err = { 0 };
		struct pt_source *src;
		struct pt_layout *l;
		struct pt_view v;
		__u8 page[PAGE];
		__u64 idx;

		(void)state;
		assert_int_equal(pt_source_open_pid(&src, pid, keep_running,
						    &err), 0);
		l = layout_of(src);
		pt_view_init(&v);
		assert_true(pt_layout_find(l, (__u64)shared->anon / PAGE,
					   &idx));
		assert_int_equal(look(src, &v, l, idx / 512, &err),
				 0);
		kill(pid, SIGKILL);
		for (int ms = 0; !look(src, &v, l, idx / 512, &err);
		     ms++) {
			assert_true(ms < 5000);
			usleep(1000);
		}
		assert_int_equal(look(src, &v, l, idx / 512, &err),
				 -ESRCH);
		assert_non_null(strstr(err.text, "went away while it was"));
		assert_null(pt_source_page(src, l, idx, page));
		assert_true(pt_layout_find(l, (__u64)shared->file / PAGE,
					   &idx));
		assert_int_equal(look(src, &v, l, idx / 512, &err),
				 -ESRCH);
		pt_view_free(&v);
		pt_layout_free(l);
		pt_source_close(src);
		child_end(pid);
		assert_true(kill(pid, 0) && errno == ESRCH);
	}
}

/* --- a live one --------------------------------------------------------- */

static struct pt_source *open_live(pid_t pid)
{
	struct pt_error err = { 0 };
	struct pt_source *src;

	if (pt_source_open_live(&src, pid, 0, &err))
		fail_msg("%s", err.text);
	assert_true(pt_source_may_change(src));
	return src;
}

static void test_a_live_one_is_stopped_on_demand(void **state)
{
	pid_t pid = child_start();
	struct pt_source *src = open_live(pid);
	struct pt_error err = { 0 };

	(void)state;
	assert_runs();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pt_source_stop(src, &err), 0);
		assert_stands();
		assert_int_equal(pt_source_review(src, &err), 0);
		pt_source_resume(src);
		pt_source_resume(src);
		assert_runs();
	}
	assert_int_equal(pt_source_stop(src, &err), 0);
	pt_source_close(src);
	assert_runs();
	child_end(pid);
}

static bool is_mapped(const struct pt_source *src, const void *addr)
{
	__u64 gfn, page_cnt, want = (__u64)addr / PAGE;

	for (__u32 i = 0; pt_source_mapping(src, i, &gfn, &page_cnt); i++)
		if (want >= gfn && want < gfn + page_cnt)
			return true;
	return false;
}

/* A page that is unmapped meanwhile has no content. */
static void test_a_live_one_that_maps_anew(void **state)
{
	struct pt_error err = { 0 };
	struct pt_source *src;
	struct pt_layout *l;
	struct pt_view v;
	bool is_hole;
	pid_t pid;

	(void)state;
	child_maps = true;
	pid = child_start();
	child_maps = false;
	src = open_live(pid);
	l = layout_of(src);
	pt_view_init(&v);
	assert_int_equal(peek(src, l, &v, shared->file + PAGE, &is_hole), 's');
	assert_int_equal(pt_source_review(src, &err), 0);
	shared->go = 1;
	while (shared->go)
		usleep(1000);
	assert_int_equal(look_at(src, l, &v, shared->file), 0);
	assert_int_equal(look_at(src, l, &v, shared->anon), 1);
	/* It is not mapped any more, and that counts once it is looked for. */
	assert_true(is_mapped(src, shared->anon));
	assert_true(is_mapped(src, shared->file));
	assert_int_equal(pt_source_review(src, &err), 0);
	assert_true(is_mapped(src, shared->anon));
	assert_false(is_mapped(src, shared->file));
	peek(src, l, &v, shared->file, &is_hole);
	assert_true(is_hole);
	/* The new mapping has no segment, which matters at the stop. */
	assert_true(is_mapped(src, shared->come));
	assert_int_equal(pt_source_stop(src, &err), 0);
	assert_int_equal(pt_source_review(src, &err), -ESTALE);
	assert_non_null(strstr(err.text, "mapped memory at 0x"));
	pt_source_resume(src);
	pt_view_free(&v);
	pt_layout_free(l);
	pt_source_close(src);
	child_end(pid);
}

/* A file that is mapped where a hole was is none, untouched as it may be. */
static void test_a_live_one_that_maps_into_a_hole(void **state)
{
	struct pt_error err = { 0 };
	struct pt_source *src;
	struct pt_layout *l;
	struct pt_view v;
	bool is_hole;
	pid_t pid;

	(void)state;
	child_maps = true;
	pid = child_start();
	child_maps = false;
	src = open_live(pid);
	l = layout_of(src);
	pt_view_init(&v);
	shared->go = 1;
	while (shared->go)
		usleep(1000);
	assert_int_equal(pt_source_review(src, &err), 0);
	for (int i = 1; i < 8; i++) {
		__u8 byte = peek(src, l, &v, shared->sparse + i * REGION,
				 &is_hole);

		assert_int_equal(byte, i == 6 ? 'f' : 0);
		assert_int_equal(is_hole, i != 6);
	}
	pt_view_free(&v);
	pt_layout_free(l);
	pt_source_close(src);
	child_end(pid);
}

static void test_a_live_one_that_ends(void **state)
{
	pid_t pid = child_start();
	struct pt_source *src = open_live(pid);
	struct pt_error err = { 0 };

	(void)state;
	child_end(pid);
	assert_int_equal(pt_source_review(src, &err), -ESRCH);
	assert_int_equal(pt_source_stop(src, &err), -ESRCH);
	pt_source_close(src);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_content_of_a_running_one),
		cmocka_unit_test(test_holes_take_no_room),
		cmocka_unit_test(test_stands_until_closed),
		cmocka_unit_test(test_stopped_again_and_again_under_signals),
		cmocka_unit_test(test_runs_on_when_we_are_killed),
		cmocka_unit_test(test_one_that_was_stopped_stays_so),
		cmocka_unit_test(test_killed_while_it_is_read),
		cmocka_unit_test(test_a_live_one_is_stopped_on_demand),
		cmocka_unit_test(test_a_live_one_that_maps_anew),
		cmocka_unit_test(test_a_live_one_that_maps_into_a_hole),
		cmocka_unit_test(test_a_live_one_that_ends),
	};

	if (victim_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
