// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Sinks with a journal, killed at each of their system calls. */
#include "kept_kit.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static const char other_words[] = "other";
static struct pt_layout *other_layout;

/* finish: a receiver with --resume, from any state of the image. */
static void finish(void)
{
	struct pt_sink *s = NULL;
	void *bytes = NULL;
	size_t sz;
	int ret = pt_image_reopen(&s, OUT, layout, NULL);

	if (!ret) {
		ret = pt_image_journal_read(s, &bytes, &sz, NULL);
		if (!ret && (sz != sizeof(words) || memcmp(bytes, words, sz)))
			_exit(3);	/* not whole */
		if (ret == -ENOENT)
			pt_sink_close(s);
		else if (!ret)
			ret = pt_image_resume(s, NULL);
	}
	if (ret == -ENOENT) {
		ret = pt_image_create(&s, OUT, layout, NULL);
		if (!ret)
			ret = pt_image_journal_write(s, words, sizeof(words),
						    NULL);
	}
	if (ret == -EEXIST)
		_exit(4);
	if (ret)
		_exit(5);
	pt_image_page(s, 1)[0] = 'x';
	if (pt_sink_sync(s, NULL) || pt_sink_commit(s, NULL))
		_exit(6);
	pt_sink_close(s);
	_exit(0);
}

/* begin_another: a receiver that drops the data kept for another image. */
static void begin_another(void)
{
	struct pt_sink *s;

	if (pt_image_create(&s, OUT, other_layout, NULL) ||
	    pt_image_journal_write(s, other_words, sizeof(other_words), NULL))
		_exit(5);
	pt_sink_close(s);
	_exit(0);
}

/* killed_at runs what in a child and kills it as it enters its Nth system call;
 * false: it ended before. */
static bool killed_at(void (*what)(void), int n)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		what();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 2 * n - 1; i++) {	/* entry and exit of each */
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return true;
}

static bool journal_has(const char *want, size_t want_sz)
{
	char got[100];
	int fd = open(JOURNAL, O_RDONLY);
	ssize_t sz;

	if (fd < 0)
		return false;
	sz = read(fd, got, sizeof(got));
	close(fd);
	return sz == (ssize_t)want_sz && !memcmp(got, want, sz);
}

static __u64 partial_sz(void)
{
	struct stat st;

	return stat(PARTIAL, &st) ? 0 : st.st_size;
}

/* From nothing, and from kept data: at any instant the journal is whole or
 * absent, and the next receiver completes. */
static void killed_everywhere(bool from_kept)
{
	int before = 0, both = 0, after = 0, n;
	bool was_killed = true;

	for (n = 1; was_killed; n++) {
		assert_true(n < 500);
		assert_int_equal(out_begin(NULL), 0);
		if (from_kept)
			leave();
		was_killed = killed_at(finish, n);
		if (scratch_has(JOURNAL))
			assert_true(journal_has(words, sizeof(words)));
		if (scratch_has(OUT)) {
			after++;
			assert_false(scratch_has(PARTIAL));
			continue;
		}
		if (scratch_has(JOURNAL)) {
			both++;
			assert_int_equal(partial_sz(),
					 pt_layout_image_sz(layout));
		} else {
			before++;
		}
		assert_false(killed_at(finish, 400));
		assert_true(scratch_has(OUT));
		assert_false(scratch_has(PARTIAL));
		assert_false(scratch_has(JOURNAL));
		assert_false(scratch_has(OUT ".with.journal"));
	}
	print_message("killed at %d system calls: %d without a journal, %d "
		      "with one, %d after the commit\n", n, before, both,
		      after);
	assert_true(from_kept ? !before : before > 10);
	assert_true(both > 3);
	assert_true(after > 3);
}

static void test_killed_from_nothing(void **state)
{
	(void)state;
	killed_everywhere(false);
}

static void test_killed_from_kept(void **state)
{
	(void)state;
	killed_everywhere(true);
}

/* While one image's journal replaces another's: no journal describes the
 * other's .partial. */
static void test_killed_while_replacing(void **state)
{
	int ours = 0, none = 0, others = 0, n;
	bool was_killed = true;

	(void)state;
	for (n = 1; was_killed; n++) {
		assert_true(n < 500);
		assert_int_equal(out_begin(NULL), 0);
		leave();
		was_killed = killed_at(begin_another, n);
		if (journal_has(words, sizeof(words))) {
			ours++;
			assert_int_equal(partial_sz(),
					 pt_layout_image_sz(layout));
		} else if (scratch_has(JOURNAL)) {
			others++;
			assert_true(journal_has(other_words,
						sizeof(other_words)));
			assert_int_equal(partial_sz(),
					 pt_layout_image_sz(other_layout));
		} else {
			none++;
		}
	}
	assert_true(ours > 3 && none > 3 && others > 1);
}

int main(void)
{
	static const struct pt_segment other = { "ram", 0, 9 * PAGE };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_from_nothing),
		cmocka_unit_test(test_killed_from_kept),
		cmocka_unit_test(test_killed_while_replacing),
	};

	if (kept_start() ||
	    pt_layout_create(&other_layout, &other, 1, NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
