// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A sink that was reserved before its image was known: first of the requested
 * size, then of the image's, with the same bytes as any other. */
#include "scratch.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "sink/image_impl.h"
#include "sink/sink_run.h"

#define OUT	SCRATCH "/ram"
#define MIB	(1ULL << 20)

static struct pt_error err;

/* is_resident: every page of the sink's first sz bytes is there. */
static bool is_resident(const struct pt_sink *sink, __u64 sz)
{
	static unsigned char there[64 * MIB / PT_PAGE_SZ];

	assert_int_equal(mincore(((const struct pt_image *)sink)->map, sz, there), 0);
	for (__u64 i = 0; i < sz / PT_PAGE_SZ; i++)
		if (!(there[i] & 1))
			return false;
	return true;
}

/* fill writes every other page of the image by runs of cnt pages, and stores
 * the expected content in want. */
static void fill(struct pt_sink *sink, __u8 *want, __u64 sz, unsigned cnt)
{
	static struct pt_sink_run run;
	static __u8 page[PT_PAGE_SZ];

	for (__u64 i = 0; i * PT_PAGE_SZ < sz; i++) {
		__u64 off = i * PT_PAGE_SZ;

		if (i / cnt % 2)
			continue;
		memset(page, 1 + i % 200, sizeof(page));
		memcpy(want + off, page, sz - off < PT_PAGE_SZ ? sz - off
							       : PT_PAGE_SZ);
		assert_int_equal(pt_sink_run_add(&run, sink, off, page,
						 PT_PAGE_SZ, &err), 0);
		assert_int_equal(pt_sink_run_flush(&run, &err), 0);
	}
}

static const struct row {
	const char *name;
	__u64 reserved_sz, image_sz;
} rows[] = {
	{ "as large as the image", 8 * MIB, 8 * MIB },
	{ "larger", 8 * MIB, 3 * MIB },
	{ "smaller", 2 * MIB, 8 * MIB },
	{ "a page smaller", 8 * MIB - PT_PAGE_SZ, 8 * MIB },
	{ "a page", PT_PAGE_SZ, 8 * MIB },
	{ "an image that ends within a page", 8 * MIB, 8 * MIB - 100 },
	{ "reserved within a page", 4 * MIB - 5, 8 * MIB - 100 },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	const struct pt_segment ram = { "ram", 0, row->image_sz };
	__u64 sz = (row->reserved_sz + PT_PAGE_SZ - 1) & ~(PT_PAGE_SZ - 1ULL);
	__u64 kept = row->image_sz < sz ? row->image_sz : sz;
	__u8 *want = calloc(1, row->image_sz);
	struct pt_layout *layout;
	struct pt_sink *sink;
	struct stat st;
	__u8 *got;
	int fd;

	assert_int_equal(pt_layout_create(&layout, &ram, 1, &err), 0);
	assert_int_equal(pt_image_reserve(&sink, OUT, row->reserved_sz, -1,
					 &err), 0);
	assert_int_equal(scratch_blocks(OUT ".partial"), sz);
	assert_true(is_resident(sink, sz));

	assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	assert_int_equal(stat(OUT ".partial", &st), 0);
	assert_int_equal(st.st_size, row->image_sz);
	assert_int_equal(scratch_blocks(OUT ".partial"),
			 (kept + PT_PAGE_SZ - 1) & ~(PT_PAGE_SZ - 1ULL));
	assert_true(is_resident(sink, kept & ~(PT_PAGE_SZ - 1ULL)));
	assert_true(((const struct pt_image *)sink)->populated_sz <= ((const struct pt_image *)sink)->map_sz);
	fill(sink, want, row->image_sz, 3);

	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_equal(pt_sink_commit(sink, &err), 0);
	pt_sink_close(sink);
	pt_layout_free(layout);
	got = malloc(row->image_sz);
	assert_int_equal(stat(OUT, &st), 0);
	assert_int_equal(st.st_size, row->image_sz);
	fd = open(OUT, O_RDONLY);
	assert_int_equal(read(fd, got, row->image_sz), row->image_sz);
	close(fd);
	assert_memory_equal(got, want, row->image_sz);
	assert_int_equal(unlink(OUT), 0);
	free(got);
	free(want);
}

static void assert_nothing(void)
{
	assert_false(scratch_has(OUT));
	assert_false(scratch_has(OUT ".partial"));
	assert_false(scratch_has(OUT ".journal"));
	assert_int_equal(scratch_blocks(SCRATCH), 0);
}

static void test_nobody_comes(void **state)
{
	struct pt_sink *sink;

	(void)state;
	assert_int_equal(pt_image_reserve(&sink, OUT, MIB, -1, &err), 0);
	assert_true(scratch_has(OUT ".partial"));
	pt_sink_close(sink);
	assert_nothing();
}

/* The error names a size that works, and it works. */
static void test_too_much(void **state)
{
	unsigned long long mib = 0;
	struct pt_sink *sink;
	const char *works;

	(void)state;
	assert_int_equal(pt_image_reserve(&sink, OUT, 65 * MIB, -1, &err),
			 -ENOSPC);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_nothing();
	works = strstr(err.text, "(prealloc ");
	assert_non_null(works);
	assert_int_equal(sscanf(works, "(prealloc %lluM works)", &mib), 1);
	assert_in_range(mib, 60, 64);
	assert_int_equal(pt_image_reserve(&sink, OUT, mib * MIB, -1, &err), 0);
	pt_sink_close(sink);
	assert_nothing();
}

/* More than the host has, on a file system that would take it.  The test
 * simulates a host with little memory: were the check wrong, a request for all
 * memory would start the OOM killer. */
static void test_more_than_memory(void **state)
{
	static const char said[] = "MemTotal: 99999999 kB\n"
				   "MemAvailable: 81920 kB\n";
	struct pt_sink *sink;
	int fd = scratch_file(SCRATCH "/meminfo", 0);

	(void)state;
	scratch_write(fd, 0, said, sizeof(said) - 1);
	close(fd);
	assert_int_equal(mount(SCRATCH "/meminfo", "/proc/meminfo", NULL,
			       MS_BIND, NULL), 0);
	assert_int_equal(pt_image_reserve(&sink, OUT, 17 * MIB, -1, &err),
			 -ENOSPC);
	assert_non_null(strstr(err.text, "16 MiB are free of the host's memory "
					 "(prealloc 16M works)"));
	assert_int_equal(pt_image_reserve(&sink, OUT, 16 * MIB, -1, &err), 0);
	pt_sink_close(sink);
	umount("/proc/meminfo");
	unlink(SCRATCH "/meminfo");
	assert_nothing();
}

/* cgroup_make makes a cgroup of the test's own, with a limit; false: none can
 * be made here. */
static bool cgroup_make(char dir[128], char limit[160], __u64 limit_sz)
{
	static const char *const roots[][2] = {
		{ "/sys/fs/cgroup", "memory.max" },
		{ "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
	};

	for (unsigned i = 0; i < 2; i++) {
		int fd;

		snprintf(dir, 128, "%s/pagetrim-%d", roots[i][0], getpid());
		snprintf(limit, 160, "%s/%s", dir, roots[i][1]);
		if (mkdir(dir, 0700))
			continue;
		fd = open(limit, O_WRONLY);
		if (fd >= 0 && dprintf(fd, "%llu", limit_sz) > 0) {
			close(fd);
			return true;
		}
		if (fd >= 0)
			close(fd);
		rmdir(dir);
	}
	return false;
}

/* reserve_within runs in a child: in a cgroup of 128 MiB no more is reserved,
 * and the size in the error works; if so, the child still lives. */
static bool reserve_within(const char *dir, const char *limit)
{
	unsigned long long mib = 0;
	struct pt_sink *sink;
	char procs[160];
	const char *at;
	int fd;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	fd = open(procs, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return false;
	close(fd);
	scratch_fs("large", "tmpfs", 0, "size=1g");
	if (pt_image_reserve(&sink, SCRATCH "/large/ram", 256 * MIB, -1,
			    &err) != -ENOSPC)
		return false;
	at = strstr(err.text, "(prealloc ");
	if (!strstr(err.text, "free of the 128 that /") ||
	    !strstr(err.text, limit) || !at ||
	    sscanf(at, "(prealloc %lluM works)", &mib) != 1 ||
	    mib < 32 || mib > 64 ||
	    pt_image_reserve(&sink, SCRATCH "/large/ram", mib * MIB, -1, &err) ||
	    !is_resident(sink, mib * MIB)) {
		fprintf(stderr, "%llu: %s\n", mib, err.text);
		return false;
	}
	pt_sink_close(sink);
	return true;
}

static void test_more_than_cgroup(void **state)
{
	char dir[128], limit[160];
	int status;
	pid_t pid;

	(void)state;
	if (!cgroup_make(dir, limit, 128 * MIB)) {
		print_message("no cgroup of memory to be had: not tried\n");
		skip();
	}
	pid = fork();
	if (!pid)	/* its mounts are its own, and go with it */
		_exit(unshare(CLONE_NEWNS) || !reserve_within(dir, limit));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; rmdir(dir) && errno == EBUSY && i < 1000; i++)
		usleep(1000);	/* until it is gone from there, too */
	assert_false(scratch_has(dir));
	assert_int_equal(status, 0);
}

static void test_stopped(void **state)
{
	int stop = eventfd(1, 0);
	struct pt_sink *sink;

	(void)state;
	assert_int_equal(pt_image_reserve(&sink, OUT, MIB, stop, &err),
			 -ECANCELED);
	assert_int_equal(err.exit, PT_EXIT_FAILED);
	close(stop);
	assert_nothing();
}

static void test_name_is_taken(void **state)
{
	struct pt_sink *sink, *other;

	(void)state;
	close(scratch_file(OUT, 0));
	assert_int_equal(pt_image_reserve(&sink, OUT, MIB, -1, &err), -EEXIST);
	unlink(OUT);
	assert_int_equal(pt_image_reserve(&sink, OUT, MIB, -1, &err), 0);
	assert_int_equal(pt_image_reserve(&other, OUT, MIB, -1, &err), -EBUSY);
	pt_sink_close(sink);
	assert_nothing();
}

/* A hugetlbfs: whole huge pages, and an error that counts them. */
static void test_huge(void **state)
{
	const struct pt_segment ram = { "ram", 0, 4 * MIB };
	struct pt_layout *layout;
	struct pt_sink *sink;

	(void)state;
	if (!scratch_huge(3)) {
		print_message("no huge pages to be had: not tried\n");
		skip();
	}
	scratch_fs("huge", "hugetlbfs", 0, "pagesize=2M");
	assert_int_equal(pt_layout_create(&layout, &ram, 1, &err), 0);
	assert_int_equal(pt_image_reserve(&sink, SCRATCH "/huge/ram",
					 1ULL << 40, -1, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "free in huge pages (prealloc "));
	assert_int_equal(pt_image_reserve(&sink, SCRATCH "/huge/ram",
					 5 * MIB, -1, &err), 0);
	assert_int_equal(((const struct pt_image *)sink)->map_sz, 6 * MIB);
	assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	memset(pt_image_page(sink, 0), 1, 4 * MIB);
	pt_sink_close(sink);
	pt_layout_free(layout);
	umount(SCRATCH "/huge");
	rmdir(SCRATCH "/huge");
	scratch_huge(-3);
}

/* huge_kib returns the KiB of the file that this process has mapped. */
static unsigned long huge_kib(const char *name)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long kib = 0, sum = 0;
	bool is_it = false;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, " " SCRATCH) || strstr(line, " /"))
			is_it = strstr(line, name);
		if (is_it &&
		    sscanf(line, "ShmemPmdMapped: %lu kB", &kib) == 1)
			sum += kib;
	}
	fclose(maps);
	return sum;
}

/* in_huge reserves 8 MiB on a tmpfs; returns the KiB in huge pages. */
static unsigned long in_huge(const char *options)
{
	struct pt_sink *sink;
	unsigned long kib;

	scratch_fs("thp", "tmpfs", 0, options);
	assert_int_equal(pt_image_reserve(&sink, SCRATCH "/thp/ram", 8 * MIB, -1,
					 &err), 0);
	kib = huge_kib("/thp/ram");
	pt_sink_close(sink);
	umount(SCRATCH "/thp");
	rmdir(SCRATCH "/thp");
	return kib;
}

/* A tmpfs that gives huge pages on advice gives as many as one that always does, if
 * there are any: others of the machine may take the last between the two. */
static void test_tmpfs_huge(void **state)
{
	unsigned long kib = 0;

	(void)state;
	for (int i = 0; i < 20 && kib < 8192; i++) {
		if (in_huge("size=32m,huge=always") < 8192) {
			print_message("the kernel has no huge pages for a "
				      "tmpfs: not tried\n");
			skip();
		}
		kib = in_huge("size=32m,huge=advise");
	}
	assert_int_equal(kib, 8192);
	assert_int_equal(in_huge("size=32m,huge=never"), 0);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0]) + 8] = {
		cmocka_unit_test(test_nobody_comes),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_more_than_memory),
		cmocka_unit_test(test_more_than_cgroup),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_name_is_taken),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_tmpfs_huge),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[8 + i] = (struct CMUnitTest){
			rows[i].name, test_row, NULL, NULL, (void *)&rows[i]
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
