// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A real child with threads as the source. */
#include "memory/source.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "scratch.h"

#define PAGE 4096u
#define REGION (2u << 20)
#define THREADS 4

/* What child and test share; in a shared mapping, which is itself left out
 * of the source. */
static struct shared {
	volatile __u64 beats[THREADS];	/* each thread counts its own up */
	volatile int ready;
	volatile int signals;		/* SIGUSR1 that the child handled */
	__u8 *anon;			/* 4 MiB and 3 pages, few of them used */
	__u8 *file;			/* private mapping of a file, 2 pages */
	__u8 *readonly;
	__u8 *guarded;			/* 2 pages, one a guard region */
	int has_guard;
} *shared;

#define ANON_SZ (2 * REGION + 3 * PAGE)

static void *beat(void *arg)
{
	long i = (long)arg;

	for (;;) {
		shared->beats[i]++;
		usleep(100);
	}
	return NULL;
}

static void count_signal(int signo)
{
	(void)signo;
	shared->signals++;
}

static void *private_map(size_t sz, int prot, int fd)
{
	return mmap(NULL, sz, prot,
		    MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
}

static void child_main(void)
{
	int fd = scratch_file(SCRATCH "/data", 2 * PAGE);
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, count_signal);
	scratch_write(fd, 0, "first", 5);
	scratch_write(fd, PAGE, "second", 6);
	shared->file = private_map(2 * PAGE, PROT_READ | PROT_WRITE, fd);
	shared->file[1] = 'I';		/* page 1 stays the file's */
	shared->anon = private_map(ANON_SZ, PROT_READ | PROT_WRITE, -1);
	shared->anon[10] = 1;
	shared->anon[REGION + 5 * PAGE] = 2;
	shared->anon[ANON_SZ - 1] = 3;
	shared->readonly = private_map(PAGE, PROT_READ, -1);
	shared->guarded = private_map(2 * PAGE, PROT_READ | PROT_WRITE, -1);
	memset(shared->guarded, 4, 2 * PAGE);
	/* MADV_GUARD_INSTALL, Linux 6.13 */
	shared->has_guard = !madvise(shared->guarded + PAGE, PAGE, 102);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, beat, (void *)i);
	shared->ready = 1;
	for (;;)
		pause();
}

static pid_t child_start(void)
{
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (!pid)
		child_main();
	assert_true(pid > 0);
	while (!shared->ready || !shared->beats[THREADS - 1])
		usleep(1000);
	return pid;
}

static void child_end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, __WALL) == pid &&
	       !WIFSIGNALED(status))	/* a stop that we traced */
		continue;
}

static __u64 beats(void)
{
	__u64 sum = 0;

	for (int i = 0; i < THREADS; i++)
		sum += shared->beats[i];
	return sum;
}

/* All threads count on: waits until each has, at most 5 s. */
static void assert_runs(void)
{
	__u64 before[THREADS];

	for (int i = 0; i < THREADS; i++)
		before[i] = shared->beats[i];
	for (int i = 0; i < THREADS; i++) {
		for (int ms = 0; shared->beats[i] == before[i]; ms++) {
			assert_true(ms < 5000);
			usleep(1000);
		}
	}
}

static void assert_stands(void)
{
	__u64 before = beats();

	usleep(20000);		/* 200 beats of each thread, if it ran */
	assert_int_equal(beats(), before);
}

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

/* peek reads one byte of the process by way of a view; *is_hole says that
 * nobody read it. */
static __u8 peek(struct pt_source *src, const struct pt_layout *l,
		 struct pt_view *v, const void *addr, bool *is_hole)
{
	struct pt_error err = { 0 };
	__u64 idx;
	__u32 page;

	assert_true(pt_layout_find(l, (__u64)addr / PAGE, &idx));
	if (pt_source_view(src, v, l, idx / 512, &err))
		fail_msg("%s", err.text);
	page = idx % 512;
	*is_hole = pt_view_is_hole(v, page);
	return *is_hole ? 0 : v->pages[page * PAGE + (__u64)addr % PAGE];
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

	/* A private mapping of a file: what was written, and the rest. */
	assert_int_equal(peek(src, l, &v, shared->file, &is_hole), 'f');
	assert_int_equal(peek(src, l, &v, shared->file + 1, &is_hole), 'I');
	assert_int_equal(peek(src, l, &v, shared->file + PAGE, &is_hole), 's');
	assert_false(is_hole);
	assert_string_equal(segment_at(src, shared->file)->name, "data");

	/* What is left out. */
	assert_null(segment_at(src, shared));
	assert_null(segment_at(src, shared->readonly));
	assert_null(segment_at(src, (void *)check_content));

	/* A variable of ours, in the child's copy; and its stack. */
	assert_int_equal(peek(src, l, &v, &shared, &is_hole),
			 (__u64)shared & 0xff);
	assert_string_equal(segment_at(src, &err)->name, "[stack]");

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
	/* A signal that comes meanwhile is not lost. */
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

/* Signals all the time while it is stopped and let go: none is lost, and no
 * thread stays behind. */
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
		__u64 idx;

		(void)state;
		assert_int_equal(pt_source_open_pid(&src, pid, keep_running,
						    &err), 0);
		l = layout_of(src);
		pt_view_init(&v);
		assert_true(pt_layout_find(l, (__u64)shared->anon / PAGE,
					   &idx));
		assert_int_equal(pt_source_view(src, &v, l, idx / 512, &err),
				 0);
		kill(pid, SIGKILL);
		for (int ms = 0; !pt_source_view(src, &v, l, idx / 512, &err);
		     ms++) {
			assert_true(ms < 5000);
			usleep(1000);
		}
		assert_int_equal(pt_source_view(src, &v, l, idx / 512, &err),
				 -ESRCH);
		assert_non_null(strstr(err.text, "went away while it was"));
		assert_true(pt_layout_find(l, (__u64)shared->file / PAGE,
					   &idx));
		assert_int_equal(pt_source_view(src, &v, l, idx / 512, &err),
				 -ESRCH);
		pt_view_free(&v);
		pt_layout_free(l);
		pt_source_close(src);
		child_end(pid);
		assert_true(kill(pid, 0) && errno == ESRCH);
	}
}

/* --- refusals -------------------------------------------------------- */

static void assert_refused(pid_t pid, int want, const char *text)
{
	struct pt_source *src = (void *)7;
	struct pt_error err = { 0 };

	assert_int_equal(pt_source_open_pid(&src, pid, false, &err), want);
	assert_ptr_equal(src, (void *)7);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static void test_no_such_process(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	/* first a zombie, then nothing */
	assert_int_equal(waitid(P_PID, pid, NULL, WEXITED | WNOWAIT), 0);
	assert_refused(pid, -ESRCH, "went away");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_refused(pid, -ESRCH, "there is none");
	assert_refused(0, -ESRCH, "there is none");
	assert_refused(-1, -ESRCH, "there is none");
}

static void test_ourselves_and_the_kernel(void **state)
{
	(void)state;
	assert_refused(getpid(), -EINVAL, "it is this one");
	if (!kill(2, 0))	/* not seen from within a container */
		assert_refused(2, -ENODATA, "thread of the kernel");
}

static void test_a_thread(void **state)
{
	pid_t pid = child_start(), tid = 0;
	const struct dirent *entry;
	char text[64];
	DIR *dir;

	(void)state;
	snprintf(text, sizeof(text), "/proc/%d/task", pid);
	dir = opendir(text);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (atoi(entry->d_name) > pid)
			tid = atoi(entry->d_name);
	closedir(dir);
	snprintf(text, sizeof(text), "a thread of process %d", pid);
	assert_refused(tid, -EINVAL, text);
	child_end(pid);
}

static void test_traced_by_another(void **state)
{
	pid_t pid = child_start();
	char text[64];

	(void)state;
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
	snprintf(text, sizeof(text), "process %d traces it", getpid());
	assert_refused(pid, -EPERM, text);
	assert_runs();
	child_end(pid);
}

static void test_not_permitted(void **state)
{
	pid_t pid = child_start(), other = fork();
	struct pt_error err = { 0 };
	struct pt_source *src;
	int status;

	(void)state;
	if (!other) {
		if (setuid(65534))
			_exit(1);
		if (pt_source_open_pid(&src, pid, false, &err) != -EPERM)
			_exit(2);
		if (pt_source_open_pid(&src, pid, true, &err) != -EACCES)
			_exit(3);
		_exit(strstr(err.text, "CAP_SYS_PTRACE") ? 0 : 4);
	}
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	assert_runs();
	child_end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_content_of_a_running_one),
		cmocka_unit_test(test_stands_until_closed),
		cmocka_unit_test(test_stopped_again_and_again_under_signals),
		cmocka_unit_test(test_runs_on_when_we_are_killed),
		cmocka_unit_test(test_one_that_was_stopped_stays_so),
		cmocka_unit_test(test_killed_while_it_is_read),
		cmocka_unit_test(test_no_such_process),
		cmocka_unit_test(test_ourselves_and_the_kernel),
		cmocka_unit_test(test_a_thread),
		cmocka_unit_test(test_traced_by_another),
		cmocka_unit_test(test_not_permitted),
	};

	if (scratch_mount())
		return 1;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
