// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Memory of our own, and a thread that writes it all the time. */
#include "track_child.h"

#include <pthread.h>
#include <stdatomic.h>

static struct pt_tracker *own(void *map, __u64 page_idx)
{
	struct pt_track_range range = { .addr = (__u64)map, .sz = RAM_SZ,
					.page_idx = page_idx };
	struct pt_error err = { 0 };
	struct pt_tracker *t = NULL;

	if (pt_tracker_open_wp(&t, getpid(), &range, 1, NULL, &err))
		fail_msg("%s", err.text);
	assert_string_equal(pt_tracker_name(t), "own");
	arm(t);
	return t;
}

static void check_own(int fd)
{
	__u8 *map = mmap(NULL, RAM_SZ, PROT_READ | PROT_WRITE, fd < 0 ?
			 MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	struct pt_tracker *t;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct child c;

	assert_true(map != MAP_FAILED);
	madvise(map, RAM_SZ, MADV_NOHUGEPAGE);
	t = own(map, 100);
	map[0] = 1;
	map[RAM_SZ - 1] = 1;
	expect_seen(t, 100, 100 + RAM_PAGES - 1);
	assert_int_equal(read(zero, map + 7 * PAGE, 3 * PAGE), 3 * PAGE);
	expect_seen(t, 107, 108, 109);
	/* A run over the end of a region, which is at page 412. */
	for (int i = 405; i < 420; i++)
		map[i * PAGE]++;
	{
		struct seen seen;

		collect(t, &seen);
		assert_int_equal(seen.cnt, 15);
	}
	if (fd >= 0) {
		child_start(&c, fd, NULL);
		assert_int_equal(pt_tracker_review(t, NULL), 0);
		collect(t, &(struct seen){ .cnt = 0 });
		child_obeys(&c, 'w', 5);
		map[6 * PAGE]++;
		expect_seen(t, 105, 106);
		child_end(&c);
	}
	pt_tracker_close(t);
	munmap(map, RAM_SZ);
	close(zero);
}

static void test_private_memory(void **state)
{
	(void)state;
	check_own(-1);
}

static void test_shared_memory(void **state)
{
	int fd = ram_new(0);

	(void)state;
	check_own(fd);
	close(fd);
}

/* --- a writer --------------------------------------------------------- */

#define WRITES 200000u

struct writer {
	volatile __u64 *map;
	_Atomic __u64 done[RAM_PAGES];	/* the last number that the page got */
	_Atomic __u64 last;		/* of all */
};

static void *write_all(void *arg)
{
	struct writer *w = arg;
	__u64 random = 1;

	for (__u64 number = 1; number <= WRITES; number++) {
		__u64 page;

		random = random * 6364136223846793005ULL + 1442695040888963407;
		page = (random >> 33) % RAM_PAGES;
		w->map[page * PAGE / 8] = number;
		atomic_store(&w->done[page], number);
		atomic_store(&w->last, number);
	}
	return NULL;
}

struct copying {
	const struct writer *w;
	__u64 copy[RAM_PAGES];
};

static void copy_dirty(void *arg, __u64 page_idx, __u32 cnt)
{
	struct copying *c = arg;

	for (__u32 i = 0; i < cnt; i++)
		c->copy[page_idx + i] =
			c->w->map[(page_idx + i) * PAGE / 8];
}

/* Each write that had ended before a collect is in the copy after it. */
static void check_writer(int fd)
{
	static struct copying c;
	static struct writer w;
	static __u64 done[RAM_PAGES];
	struct pt_track_to to = { .dirty = copy_dirty, .arg = &c };
	struct pt_tracker *t;
	pthread_t thread;
	bool is_last;

	memset(&c, 0, sizeof(c));
	memset(&w, 0, sizeof(w));
	w.map = mmap(NULL, RAM_SZ, PROT_READ | PROT_WRITE, fd < 0 ?
		     MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	c.w = &w;
	t = own((void *)w.map, 0);
	copy_dirty(&c, 0, RAM_PAGES);
	assert_int_equal(pthread_create(&thread, NULL, write_all, &w), 0);
	do {
		is_last = atomic_load(&w.last) == WRITES;
		for (__u32 i = 0; i < RAM_PAGES; i++)
			done[i] = atomic_load(&w.done[i]);
		assert_int_equal(pt_tracker_collect(t, &to, NULL), 0);
		for (__u32 i = 0; i < RAM_PAGES; i++)
			assert_true(c.copy[i] >= done[i]);
	} while (!is_last);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (__u32 i = 0; i < RAM_PAGES; i++)
		assert_int_equal(c.copy[i], w.map[i * PAGE / 8]);
	pt_tracker_close(t);
	munmap((void *)w.map, RAM_SZ);
}

static void test_writer(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, RAM_SZ), 0);
	check_writer(fd);
	check_writer(-1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_private_memory),
		cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_writer),
	};

	if (tests_end_early())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
