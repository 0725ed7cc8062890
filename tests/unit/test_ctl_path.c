// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The path of a control socket: refused paths, replaced ones, and many senders
 * that take one path at once. */
#include "ctl_kit.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/syscall.h>

static void refused(const char *path, int code, const char *word)
{
	struct pt_ctl *other = NULL;
	struct pt_error err = { 0 };

	assert_int_equal(pt_ctl_open(&other, path, &err), code);
	assert_null(other);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, word));
}

static void test_path_refused(void **state)
{
	char path[109] = SCRATCH "/";
	struct pt_error err;
	struct stat st;
	int fd;

	(void)state;
	refused(SCRATCH "/none/control", -ENOENT, "folder");
	refused("", -ENAMETOOLONG, "1..107");
	memset(path + strlen(path), 'p', 108 - strlen(path));
	refused(path, -ENAMETOOLONG, "1..107");
	path[107] = '\0';
	assert_int_equal(pt_ctl_open(&ctl, path, &err), 0);
	refused(path, -EADDRINUSE, "exists");
	pt_ctl_close(ctl);
	ctl = NULL;
	assert_int_not_equal(access(path, F_OK), 0);

	fd = scratch_file(PATH, 5);
	close(fd);
	refused(PATH, -EADDRINUSE, "exists");
	assert_int_equal(stat(PATH, &st), 0);
	assert_int_equal(st.st_size, 5);
	unlink(PATH);
	/* A link to nowhere is not followed. */
	assert_int_equal(symlink(SCRATCH "/aim", PATH), 0);
	refused(PATH, -EADDRINUSE, "exists");
	assert_int_not_equal(access(SCRATCH "/aim", F_OK), 0);
	unlink(PATH);
}

/* leave_dead leaves the socket of a killed process. */
static void leave_dead(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

/* A killed process's socket is replaced; no other file is removed. */
static void test_path_left(void **state)
{
	struct pt_error err;

	(void)state;
	leave_dead();
	assert_int_equal(pt_ctl_open(&ctl, PATH, &err), 0);
	close(dial(PATH));
	assert_int_equal(unlink(PATH), 0);
	close(scratch_file(PATH, 1));
	pt_ctl_close(ctl);
	ctl = NULL;
	assert_int_equal(unlink(PATH), 0);
}

#define LOCK	PATH ".pagetrim-lock"

static int next_lock_fd = -1;	/* of the other process; -2: to come */

/* flock, for pt_ctl_path_take: once, the lock's owner has just removed it, and
 * another process has made it anew and holds it. */
int flock(int fd, int operation)
{
	if (next_lock_fd == -2) {
		assert_int_equal(unlink(LOCK), 0);
		next_lock_fd = scratch_file(LOCK, 0);
		syscall(SYS_flock, next_lock_fd, LOCK_EX);
	}
	return syscall(SYS_flock, fd, operation);
}

static void test_path_lock_removed(void **state)
{
	(void)state;
	next_lock_fd = -2;
	refused(PATH, -EBUSY, LOCK);
	assert_true(next_lock_fd >= 0);
	close(next_lock_fd);
	start(NULL);
	stop(NULL);
}

/* A process killed with the lock leaves only a file, which blocks no other; a
 * living owner blocks. */
static void test_path_locked(void **state)
{
	int fd = scratch_file(LOCK, 0);

	(void)state;
	assert_int_equal(flock(fd, LOCK_EX), 0);
	refused(PATH, -EBUSY, LOCK);
	assert_true(scratch_has(LOCK));
	assert_false(scratch_has(PATH));
	close(fd);
	start(NULL);
	assert_false(scratch_has(LOCK));
	close(dial(PATH));
	stop(NULL);
	/* A link that leads elsewhere is not followed. */
	assert_int_equal(symlink(SCRATCH "/aim", LOCK), 0);
	refused(PATH, -ELOOP, ".pagetrim-lock");
	assert_false(scratch_has(SCRATCH "/aim"));
	assert_int_equal(unlink(LOCK), 0);
}

/* The error names the owner. */
static void test_path_named(void **state)
{
	char pid[32];

	start(state);
	snprintf(pid, sizeof(pid), "process %d listens", getpid());
	refused(PATH, -EADDRINUSE, pid);
	assert_false(scratch_has(LOCK));
	stop(state);
}

/* --- many senders at once ---------------------------------------------- */

#define RACERS	4
#define ROUNDS	1000

struct racer {
	pthread_t thread;
	pthread_barrier_t *start;
	struct pt_ctl *ctl;	/* NULL: refused */
	int code;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	struct pt_error err;

	pthread_barrier_wait(r->start);
	r->code = pt_ctl_open(&r->ctl, PATH, &err);
	return NULL;
}

/* One has it, the others are refused, and the socket there is the one's. */
static void run_race(pthread_barrier_t *barrier)
{
	struct racer racers[RACERS] = { 0 };
	int cnt = 0, fd;

	for (int i = 0; i < RACERS; i++) {
		racers[i].start = barrier;
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race,
						&racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
		if (!racers[i].code) {
			ctl = racers[i].ctl;
			cnt++;
		} else {
			assert_int_equal(racers[i].code, -EADDRINUSE);
		}
	}
	assert_int_equal(cnt, 1);
	fd = dial(PATH);
	type(fd, "yours?\n");
	take();		/* another may have checked whether it lives */
	hears(fd, "yours?\n");
	close(fd);
}

static void test_race(void **state)
{
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, RACERS);
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 2)
			leave_dead();
		run_race(&barrier);
		stop(state);
		assert_false(scratch_has(LOCK));
	}
	pthread_barrier_destroy(&barrier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_refused),
		cmocka_unit_test(test_path_left),
		cmocka_unit_test(test_path_locked),
		cmocka_unit_test(test_path_lock_removed),
		cmocka_unit_test(test_path_named),
		cmocka_unit_test(test_race),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
