// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The writable mappings of a process, by a query of the kernel and by its text. */
#include "ioctl_filter.h"
#include "track_kit.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "memory/mappings.h"

#define MAP_QUERY 0xc0686611	/* PROCMAP_QUERY */
#define FOUND_MAX 64u

struct found {
	struct pt_mapping all[FOUND_MAX];
	__u32 cnt;
	bool is_filtered;	/* take those that are writable, of a file, ... */
	bool has_private;	/* ... and shared or not */
};

static int note(void *arg, const struct pt_mapping *m)
{
	struct found *f = arg;

	if (f->is_filtered && !(m->is_writable && m->ino &&
				(m->is_shared || f->has_private)))
		return 0;
	assert_in_range(f->cnt, 0, FOUND_MAX - 1);
	f->all[f->cnt++] = *m;
	return 0;
}

static void check_same(const struct found *a, const struct found *b)
{
	assert_int_equal(a->cnt, b->cnt);
	for (__u32 i = 0; i < a->cnt; i++) {
		const struct pt_mapping *x = &a->all[i], *y = &b->all[i];

		assert_int_equal(x->start, y->start);
		assert_int_equal(x->end, y->end);
		assert_int_equal(x->off, y->off);
		assert_int_equal(x->dev, y->dev);
		assert_int_equal(x->ino, y->ino);
		assert_int_equal(x->is_shared, y->is_shared);
		assert_true(y->is_writable);
	}
}

/* check_own: three shared mappings, and others, of which one is private. */
static void check_own(bool has_private)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	int maps = pt_mappings_open(getpid());
	struct found text = { .is_filtered = true, .has_private = has_private };
	struct found query = { .cnt = 0 };
	void *at[5];

	assert_true(maps >= 0);
	assert_int_equal(ftruncate(fd, 9 * PAGE), 0);
	at[0] = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	at[1] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     7 * PAGE);
	at[2] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	at[3] = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	at[4] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_int_equal(pt_mappings_each(maps, note, &text), 0);
	assert_int_equal(pt_mappings_writable(maps, has_private, note,
					      &query), 0);
	assert_true(text.cnt >= (has_private ? 4 : 3));
	check_same(&text, &query);
	for (int i = 0; i < 5; i++)
		munmap(at[i], PAGE);
	munmap((char *)at[0] + PAGE, 3 * PAGE);
	close(maps);
	close(fd);
}

static void test_shared(void **state)
{
	(void)state;
	check_own(false);
	check_own(true);
}

struct asked {
	const void *at;
	struct pt_mapping is;
};

static int look_for(void *arg, const struct pt_mapping *m)
{
	struct asked *a = arg;

	if (m->start != (__u64)a->at)
		return 0;
	a->is = *m;
	return 1;
}

/* is_file: of a new mapping. */
static bool is_file(int flags, int fd)
{
	int maps = pt_mappings_open(getpid());
	struct asked a;

	a.at = mmap(NULL, 2u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags,
		    fd, 0);
	assert_ptr_not_equal(a.at, MAP_FAILED);
	assert_int_equal(pt_mappings_each(maps, look_for, &a), 1);
	munmap((void *)a.at, 2u << 20);
	close(maps);
	return a.is.is_file;
}

static void test_private_memory(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	assert_true(is_file(0, fd));
	assert_false(is_file(MAP_ANONYMOUS, -1));
	assert_false(is_file(MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1));
	close(fd);
}

/* As kernels before 6.11.  It is the last test: the filter stays. */
static void test_without_the_query(void **state)
{
	int own = pt_mappings_open(getpid());
	__u64 sz = pt_mappings_page_sz(own, (__u64)state);

	assert_true(sz == PAGE || !sz);		/* 0: before Linux 6.11 */
	filter_one(MAP_QUERY, SECCOMP_RET_ERRNO | ENOTTY);
	assert_int_equal(pt_mappings_page_sz(own, (__u64)state), 0);
	check_own(false);
	check_own(true);
	close(own);
}

static int ignore(void *arg, const struct pt_mapping *m)
{
	(void)arg;
	(void)m;
	return 0;
}

static void test_process_that_ended(void **state)
{
	struct found f = { .cnt = 0 };
	pid_t pid = fork();
	int maps;

	(void)state;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	maps = pt_mappings_open(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* A reader of /proc keeps the memory of a dead process. */
	while (pt_mappings_each(maps, ignore, NULL) != -ESRCH)
		continue;
	assert_int_equal(pt_mappings_writable(maps, false, note, &f), 0);
	assert_int_equal(f.cnt, 0);
	close(maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_private_memory),
		cmocka_unit_test(test_process_that_ended),
		cmocka_unit_test(test_without_the_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
