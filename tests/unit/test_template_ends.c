// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Templates: locks of strangers, removal, and what a memory may not be. */
#include "template_kit.h"

/* ---- locks ---- */

/* lock_all has another user take all locks that it can get. */
static pid_t lock_all(void)
{
	static const char *const paths[] = {
		FOLDER, FOLDER "/web", FOLDER "/web/.pagetrim-template",
		FOLDER "/web/template.json",
	};
	int ready[2];
	char said;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(1);
		for (int i = 0; i < 4; i++) {
			int fd = open(paths[i], O_RDONLY);

			if (fd >= 0)
				flock(fd, LOCK_EX | LOCK_NB);
		}
		_exit(write(ready[1], "x", 1) != 1 || pause());
	}
	assert_int_equal(read(ready[0], &said, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void strangers_do_not_block(void **state)
{
	struct pt_template t;
	pid_t stranger;

	(void)state;
	make("web");
	t = find("web");
	assert_int_equal(chmod(SCRATCH, 0755), 0);
	kill(t.pid, SIGKILL);
	reap(t.pid);
	stranger = lock_all();
	assert_int_equal(count(), 1);	/* the dead one, which goes */
	make("web");
	remove_one("web");
	kill(stranger, SIGKILL);
	reap(stranger);
	chmod(SCRATCH, 0700);
}

/* A lock that another command has for a moment is waited for. */
static void moments_are_waited_for(void **state)
{
	struct pt_template t;
	pid_t pid;
	int fd;

	(void)state;
	make("web");
	t = find("web");
	kill(t.pid, SIGKILL);
	reap(t.pid);
	fd = open(FOLDER "/web/.pagetrim-template", O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	pid = fork();
	if (!pid) {
		poll(NULL, 0, 30);
		_exit(flock(fd, LOCK_UN));
	}
	make("web");
	reap(pid);
	close(fd);
	/* As that of a maker that was killed. */
	assert_int_equal(mkdir(FOLDER "/.two.new", 0755), 0);
	fd = open(FOLDER "/.two.new/.pagetrim-template", O_RDONLY | O_CREAT | O_CLOEXEC,
		  0600);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	pid = fork();
	if (!pid) {
		poll(NULL, 0, 30);
		_exit(flock(fd, LOCK_UN));
	}
	make("two");
	reap(pid);
	close(fd);
	remove_one("two");
	remove_one("web");
}

/* ---- the end ---- */

static void stopped_holder_ends(void **state)
{
	struct pt_template t;

	(void)state;
	make("web");
	t = find("web");
	assert_int_equal(kill(t.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(t.pid, NULL, WUNTRACED), t.pid);
	remove_one("web");
}

/* The template found earlier is gone, and its name is that of another by now. */
static void another_of_the_name_stays(void **state)
{
	struct pt_template t;

	(void)state;
	make("web");
	t = find("web");
	remove_one("web");
	make("web");
	assert_int_equal(pt_template_remove(FOLDER, &t, &err), 0);
	assert_int_not_equal(find("web").ino, t.ino);
	remove_one("web");
}

static bool kernel_has_noexec(void)
{
	int fd = memfd_create("probe", 8U);	/* MFD_NOEXEC_SEAL */

	return fd >= 0 && !close(fd);
}

static void is_not_executable(void **state)
{
	struct pt_template t;
	struct stat st;
	int fd;

	(void)state;
	if (!kernel_has_noexec())
		skip();
	make("web");
	t = find("web");
	fd = pt_template_open(&t, &err);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_false(st.st_mode & 0111);
	assert_true(fcntl(fd, F_GET_SEALS) & 0x20);	/* F_SEAL_EXEC */
	close(fd);
	remove_one("web");
}

/* One process has the memory of more templates than a table of the old size held. */
static void many_in_one_process(void **state)
{
	enum { CNT = 70 };
	struct pt_layout *layout = layout_make(4096);
	struct pt_template all[CNT];
	struct pt_template_user user;
	int ready[2], children[CNT];
	char name[16], said;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	for (int i = 0; i < CNT; i++) {
		struct pt_template_make *m;

		snprintf(name, sizeof(name), "n%d", i);
		m = begin(name);
		assert_int_equal(pt_sink_fit(pt_template_make_sink(m), layout, &err), 0);
		commit(m);
		pt_template_make_end(m);
		all[i] = find(name);
	}
	pid = fork();
	if (!pid) {
		for (int i = 0; i < CNT; i++)
			if (pt_template_open(&all[i], &err) < 0)
				_exit(1);
		_exit(write(ready[1], "x", 1) != 1 || pause());
	}
	assert_int_equal(read(ready[0], &said, 1), 1);
	assert_int_equal(pt_template_count(all, CNT, children, &err), 0);
	for (int i = 0; i < CNT; i++) {
		assert_int_equal(children[i], 1);
		assert_int_equal(pt_template_users(&all[i], &user, 1, &err), 1);
	}
	kill(pid, SIGKILL);
	reap(pid);
	for (int i = 0; i < CNT; i++)
		remove_one(all[i].name);
	close(ready[0]);
	close(ready[1]);
	pt_layout_free(layout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strangers_do_not_block),
		cmocka_unit_test(moments_are_waited_for),
		cmocka_unit_test(stopped_holder_ends),
		cmocka_unit_test(another_of_the_name_stays),
		cmocka_unit_test(is_not_executable),
		cmocka_unit_test(many_in_one_process),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
