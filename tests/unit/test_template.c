// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Templates: making, finding, mapping by the library's function, users. */
#include "template_kit.h"

static void is_private(void **state)
{
	struct api_error api;
	__u64 *one, *two;
	uint64_t sz;

	(void)state;
	make("web");
	assert_int_equal(pt_template_map((void **)&one, &sz, "web", &here, &api), 0);
	assert_int_equal(pt_template_map((void **)&two, &sz, "web", &here, &api), 0);
	assert_int_equal(sz, SZ);
	assert_int_equal((uintptr_t)one % (2 << 20), 0);
	for (__u64 page = 0; page < SZ / PT_PAGE_SZ; page++) {
		__u64 want = page % 4 ? 0 : WORD + page;

		assert_int_equal(one[page * 512], want);
		one[page * 512] = ~page;
		assert_int_equal(two[page * 512], want);
	}
	/* It goes, and the mappings stay. */
	remove_one("web");
	assert_int_equal(two[4 * 512], WORD + 4);
	assert_int_equal(one[4 * 512], ~4ULL);
	munmap(one, sz);
	munmap(two, sz);
}

static void mistakes(void **state)
{
	struct api_error api;
	uint64_t sz;
	void *at;

	(void)state;
	assert_int_equal(pt_template_map(&at, &sz, "none", &here, &api), -ENOENT);
	assert_int_equal(pt_template_map(&at, &sz, "a/b", &here, &api), -EINVAL);
	assert_int_equal(pt_template_map(&at, &sz, NULL, &here, &api), -EINVAL);
	assert_int_equal(pt_template_map(NULL, &sz, "x", &here, &api), -EINVAL);
	assert_int_equal(pt_template_map(&at, NULL, "x", &here, &api), -EINVAL);
}

static void is_sealed(void **state)
{
	struct pt_template t;
	int fd;

	(void)state;
	make("web");
	t = find("web");
	fd = open(t.path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_int_equal(ftruncate(fd, 1 << 30), -1);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   4096), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
			 MAP_FAILED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), -1);
	close(fd);
	remove_one("web");
}

/* Memory that is not sealed is not mapped, whatever the record says. */
static void record_is_not_trusted(void **state)
{
	struct api_error api;
	struct pt_template t;
	struct stat st;
	uint64_t sz;
	pid_t holder;
	void *at;
	FILE *f;
	int fd;

	(void)state;
	make("web");
	t = find("web");
	fd = memfd_create("pagetrim-template", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, SZ), 0);
	assert_int_equal(fstat(fd, &st), 0);
	f = fopen(FOLDER "/web/template.json", "w");
	fprintf(f, "{\"version\": 1, \"pid\": %d, \"fd\": %d, \"inode\": %llu, "
		"\"bytes\": %llu, \"made\": 1}", getpid(), fd,
		(unsigned long long)st.st_ino, SZ);
	fclose(f);
	assert_int_equal(pt_template_map(&at, &sz, "web", &here, &api), -EPERM);
	close(fd);
	/* Its record leads nowhere: it is as if it were being removed. */
	holder = t.pid;
	assert_int_equal(pt_template_find(&t, FOLDER, "web", &err), -ENOENT);
	kill(holder, SIGKILL);
	reap(holder);
	assert_int_equal(count(), 1);	/* the dead one, which goes */
	assert_int_equal(count(), 0);
}

static void one_of_a_name(void **state)
{
	struct pt_template_make *m = begin("web"), *other;

	(void)state;
	assert_int_equal(pt_template_make_begin(&other, FOLDER, "web",
						PT_TEMPLATE_LARGE_OFF, &err), -EBUSY);
	assert_int_equal(count(), 0);
	pt_template_make_end(m);
	make("web");
	assert_int_equal(pt_template_make_begin(&other, FOLDER, "web",
						PT_TEMPLATE_LARGE_OFF, &err), -EEXIST);
	assert_int_equal(count(), 1);
	remove_one("web");
	assert_int_equal(pt_template_make_begin(&other, FOLDER, ".web",
						PT_TEMPLATE_LARGE_OFF, &err), -EINVAL);
}

static void ended_without_commit(void **state)
{
	struct pt_template_make *m = begin("web");
	struct pt_layout *layout = layout_make(SZ);

	(void)state;
	assert_int_equal(pt_sink_fit(pt_template_make_sink(m), layout, &err), 0);
	place(pt_template_make_sink(m));
	pt_template_make_end(m);
	pt_layout_free(layout);
	assert_int_equal(count(), 0);
	assert_int_equal(rmdir(FOLDER), 0);	/* nothing is in it */
}

static void holder_killed(void **state)
{
	struct pt_template t;
	struct pt_template *all;
	unsigned cnt;

	(void)state;
	make("one");
	make("two");
	t = find("one");
	kill(t.pid, SIGKILL);
	reap(t.pid);
	assert_int_equal(pt_template_list(&all, &cnt, FOLDER, &err), 0);
	assert_int_equal(cnt, 2);
	assert_true(all[0].is_dead && !strcmp(all[0].name, "one"));
	assert_false(all[1].is_dead);
	free(all);
	assert_int_equal(count(), 1);
	remove_one("two");
}

/* A holder that was killed before the commit makes it fail. */
static void holder_killed_early(void **state)
{
	struct pt_template_make *m = begin("web");
	struct pt_layout *layout = layout_make(SZ);
	pid_t pid = pt_template_make_made(m)->pid;

	(void)state;
	assert_int_equal(pt_sink_fit(pt_template_make_sink(m), layout, &err), 0);
	kill(pid, SIGKILL);
	reap(pid);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pt_sink_commit(pt_template_make_sink(m), &err), -EPIPE);
	pt_template_make_end(m);
	pt_layout_free(layout);
	assert_int_equal(count(), 0);
}

static void users_are_found(void **state)
{
	struct pt_template_user user;
	struct pt_template t, all[2];
	int children[2];
	int ready[2];
	char said;
	pid_t pid;

	(void)state;
	make("web");
	t = find("web");
	assert_int_equal(pt_template_users(&t, &user, 1, &err), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		struct api_error api;
		uint64_t sz;
		void *at;

		_exit(pt_template_map(&at, &sz, "web", &here, &api) ||
		      write(ready[1], "x", 1) != 1 || poll(NULL, 0, 60000));
	}
	assert_int_equal(read(ready[0], &said, 1), 1);
	assert_int_equal(pt_template_users(&t, &user, 1, &err), 1);
	assert_int_equal(user.pid, pid);
	assert_true(user.maps);
	make("other");
	all[0] = find("other");
	all[1] = t;
	assert_int_equal(pt_template_count(all, 2, children, &err), 0);
	assert_int_equal(children[0], 0);
	assert_int_equal(children[1], 1);
	remove_one("other");
	kill(pid, SIGKILL);
	reap(pid);
	close(ready[0]);
	close(ready[1]);
	remove_one("web");
}

static void strange_folders(void **state)
{
	struct pt_template_make *m;

	(void)state;
	assert_int_equal(mkdir(SCRATCH "/open", 0777), 0);
	assert_int_equal(chmod(SCRATCH "/open", 0777), 0);
	assert_int_equal(pt_template_make_begin(&m, SCRATCH "/open", "x",
						PT_TEMPLATE_LARGE_OFF, &err), -EPERM);
	assert_int_equal(pt_template_make_begin(&m, SCRATCH "/no/folder", "x",
						PT_TEMPLATE_LARGE_OFF, &err), -ENOENT);
}

static void files_come_along(void **state)
{
	struct pt_template_make *m = begin("web");
	struct pt_sink *sink = pt_template_make_sink(m);
	struct pt_layout *layout = layout_make(4096);
	struct pt_template t;
	unsigned cnt;
	char **paths;

	(void)state;
	assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	assert_int_equal(pt_sink_file_begin(sink, "../x", 1, &err), -EINVAL);
	assert_int_equal(pt_sink_file_begin(sink, "state", 5, &err), 0);
	assert_int_equal(pt_sink_file_write(sink, "hel", 3, &err), 0);
	assert_int_equal(pt_sink_commit(sink, &err), -EINVAL);
	pt_template_make_end(m);
	m = begin("web");
	sink = pt_template_make_sink(m);
	assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	assert_int_equal(pt_sink_file_begin(sink, "state", 5, &err), 0);
	assert_int_equal(pt_sink_file_write(sink, "hello", 5, &err), 0);
	assert_int_equal(pt_sink_file_write(sink, "!", 1, &err), -EINVAL);
	commit(m);
	pt_template_make_end(m);
	pt_layout_free(layout);
	t = find("web");
	assert_int_equal(pt_template_files(&paths, &cnt, FOLDER, &t, &err), 0);
	assert_int_equal(cnt, 1);
	assert_string_equal(paths[0], FOLDER "/web/with/state");
	free(paths);
	remove_one("web");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_private),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(is_sealed),
		cmocka_unit_test(one_of_a_name),
		cmocka_unit_test(ended_without_commit),
		cmocka_unit_test(holder_killed),
		cmocka_unit_test(holder_killed_early),
		cmocka_unit_test(users_are_found),
		cmocka_unit_test(strange_folders),
		cmocka_unit_test(files_come_along),
		cmocka_unit_test(record_is_not_trusted),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
