// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The memory headroom of a host and the limits of cgroups, read from files of
 * the test's own, which a row gives in the form "PATH\nCONTENT"; then of this
 * machine. */
#include "scratch.h"

#include <limits.h>
#include <stdbool.h>

#include "memory/headroom.h"

#define ROOT	SCRATCH "/root"
#define MIB	(1ULL << 20)
#define ANY	(~0ULL)
#define FILES_MAX 12

#define HOST_1G	"/proc/meminfo\nMemTotal: 9999999 kB\n"			\
		"MemFree: 100 kB\nMemAvailable:    1048576 kB\n"
#define IN(path) "/proc/self/cgroup\n1:name=systemd:/init\n0::" path "\n"
#define IN_V1(path)							\
	"/proc/self/cgroup\n7:memory2:/no\n5:cpu,memory:" path "\n0::/no\n"
#define MOUNT_AT(top)							\
	"/proc/self/mountinfo\n24 1 0:22 / /proc rw - proc proc rw\n"	\
	"30 24 0:26 " top " /cg rw,nosuid shared:4 - cgroup2 none rw\n"
#define MOUNT	MOUNT_AT("/")
#define MOUNT_V1							\
	"/proc/self/mountinfo\n30 24 0:26 / /cpu rw - cgroup c rw,cpu\n" \
	"31 24 0:27 / /cg rw - cgroup c rw,cpu,memory\n"
#define A_MAX	"/cg/a/memory.max\n"
#define A_USED	"/cg/a/memory.current\n10485760\n"	/* 10 MiB */
#define B_MAX	"/cg/a/b/memory.max\n"
#define B_USED	"/cg/a/b/memory.current\n5242880\n"
#define M200	"209715200\n"
#define M300	"314572800\n"

static const struct row {
	const char *name;
	const char *files[FILES_MAX];
	__u64 sz;		/* with a reserve for the process itself */
	__u64 limit_sz;
	const char *limit;
} rows[] = {
	{ "nothing is known", { }, ANY, 0, "" },
	{ "the host's memory", { HOST_1G }, 1024 * MIB, 0, "" },
	{ "a host that says nothing of it",
	  { "/proc/meminfo\nMemFree: 100 kB\n" }, ANY, 0, "" },
	{ "a cgroup", { HOST_1G, IN("/a"), MOUNT, A_MAX M200, A_USED },
	  190 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "a cgroup, and a host that says nothing",
	  { IN("/a"), MOUNT, A_MAX M200, A_USED },
	  190 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "a cgroup larger than the host",
	  { HOST_1G, IN("/a"), MOUNT, A_MAX "9000000000000\n", A_USED },
	  1024 * MIB, 0, "" },
	{ "max: no limit", { HOST_1G, IN("/a"), MOUNT, A_MAX "max\n", A_USED },
	  1024 * MIB, 0, "" },
	{ "a limit of nothing",
	  { HOST_1G, IN("/a"), MOUNT, A_MAX "0\n", A_USED },
	  0, 0, ROOT "/cg/a/memory.max" },
	{ "memory used above it counts",
	  { HOST_1G, IN("/a/b"), MOUNT, A_MAX M200, A_USED, B_MAX M300, B_USED },
	  190 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "the one below has less",
	  { HOST_1G, IN("/a/b"), MOUNT, A_MAX M300, A_USED, B_MAX M200, B_USED },
	  195 * MIB, 200 * MIB, ROOT "/cg/a/b/memory.max" },
	{ "one without a limit between",
	  { HOST_1G, IN("/a/b"), MOUNT, A_MAX M200, A_USED, B_MAX "max\n",
	    B_USED }, 190 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "one that has no memory files, between",
	  { HOST_1G, IN("/a/b/c"), MOUNT, A_MAX M200, A_USED },
	  190 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "that of others stays theirs",
	  { HOST_1G, IN("/a"), MOUNT, B_MAX "0\n", B_USED },
	  1024 * MIB, 0, "" },
	{ "a name that begins like it is another",
	  { HOST_1G, IN("/ab"), MOUNT_AT("/a"),
	    "/cg/memory.max\n" M200, "/cg/memory.current\n0\n" },
	  1024 * MIB, 0, "" },
	{ "a namespace that begins there",
	  { HOST_1G, IN("/"), MOUNT, "/cg/memory.max\n" M200,
	    "/cg/memory.current\n1048576\n" },
	  199 * MIB, 200 * MIB, ROOT "/cg/memory.max" },
	{ "a mount that begins there",
	  { HOST_1G, IN("/x/y/a"), MOUNT_AT("/x/y"), A_MAX M200, A_USED },
	  190 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "a mount of just it",
	  { HOST_1G, IN("/x/y"), MOUNT_AT("/x/y"), "/cg/memory.max\n" M200,
	    "/cg/memory.current\n0\n" },
	  200 * MIB, 200 * MIB, ROOT "/cg/memory.max" },
	{ "outside of what the namespace shows",
	  { HOST_1G, IN("/../a"), MOUNT, "/cg/memory.max\n" M200,
	    "/cg/memory.current\n0\n" }, 1024 * MIB, 0, "" },
	{ "page cache goes first",
	  { HOST_1G, IN("/a"), MOUNT, A_MAX M200, A_USED,
	    "/cg/a/memory.stat\nanon 5\nfile 999999999\n"
	    "inactive_file 1048576\nactive_file 2097152\nshmem 7340032\n" },
	  193 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "in whatever order they stand",
	  { HOST_1G, IN("/a"), MOUNT, A_MAX M200, A_USED,
	    "/cg/a/memory.stat\nactive_file 2097152\n"
	    "inactive_file 1048576\n" },
	  193 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "more page cache than is charged",
	  { HOST_1G, IN("/a"), MOUNT, A_MAX M200, A_USED,
	    "/cg/a/memory.stat\ninactive_file 99999999999\n" },
	  200 * MIB, 200 * MIB, ROOT "/cg/a/memory.max" },
	{ "more is charged than allowed",
	  { HOST_1G, IN("/a"), MOUNT, A_MAX "9999999\n", A_USED },
	  0, 9999999, ROOT "/cg/a/memory.max" },
	{ "nobody tells what is charged",
	  { HOST_1G, IN("/a"), MOUNT, A_MAX M200 }, 1024 * MIB, 0, "" },
	{ "version 1",
	  { HOST_1G, IN_V1("/a"), MOUNT_V1, "/cg/a/memory.limit_in_bytes\n"
	    M200, "/cg/a/memory.usage_in_bytes\n10485760\n",
	    "/cg/a/memory.stat\ninactive_file 9\ntotal_inactive_file 1048576\n"
	    "total_active_file 1048576\n" },
	  192 * MIB, 200 * MIB, ROOT "/cg/a/memory.limit_in_bytes" },
	{ "version 1, its root's limit is none",
	  { HOST_1G, IN_V1("/a"), MOUNT_V1, "/cg/memory.limit_in_bytes\n"
	    "9223372036854771712\n", "/cg/memory.usage_in_bytes\n5\n" },
	  1024 * MIB, 0, "" },
	{ "version 1, of another controller",
	  { HOST_1G, IN_V1("/a"), MOUNT_V1, "/cpu/a/memory.limit_in_bytes\n0\n",
	    "/cpu/a/memory.usage_in_bytes\n0\n" }, 1024 * MIB, 0, "" },
	{ "nothing of it is in the form it should be",
	  { "/proc/meminfo\nMemAvailable: much\n", "/proc/self/cgroup\n0\n::\n",
	    "/proc/self/mountinfo\n\n - \n1 2 - cgroup2\n1 2 3 4 5 - x\n" },
	  ANY, 0, "" },
};

/* put writes a file, and makes its folders. */
static void put(const char *file)
{
	const char *text = strchr(file, '\n') + 1;
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), ROOT "%.*s", (int)(text - 1 - file), file);
	for (char *at = path + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		assert_true(!mkdir(path, 0700) || errno == EEXIST);
		*at = '/';
	}
	fd = scratch_file(path, 0);
	scratch_write(fd, 0, text, strlen(text));
	close(fd);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	__u64 spare = 64 * MIB;
	struct pt_headroom room;
	__u64 want = row->sz;

	scratch_fs("root", "tmpfs", 0, "size=1m");
	for (unsigned i = 0; i < FILES_MAX && row->files[i]; i++)
		put(row->files[i]);
	pt_headroom_look(&room, ROOT);
	assert_int_equal(umount(ROOT), 0);

	if (want != ANY)
		want = want > spare ? want - spare : 0;
	assert_int_equal(room.sz, want);
	assert_int_equal(room.limit_sz, row->limit_sz);
	assert_string_equal(room.limit, row->limit);
}

/* On a large host the reserve is a 128th. */
static void test_spare(void **state)
{
	struct pt_headroom room;

	(void)state;
	scratch_fs("root", "tmpfs", 0, "size=1m");
	put("/proc/meminfo\nMemAvailable: 134217728 kB\n");	/* 128 GiB */
	pt_headroom_look(&room, ROOT);
	assert_int_equal(room.sz, 127ULL << 30);
	assert_int_equal(umount(ROOT), 0);
}

static void test_here(void **state)
{
	struct pt_headroom room;

	(void)state;
	pt_headroom_look(&room, "");
	assert_int_not_equal(room.sz, ANY);
	assert_in_range(room.sz, MIB, 1ULL << 50);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0]) + 2] = {
		cmocka_unit_test(test_spare),
		cmocka_unit_test(test_here),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[2 + i] = (struct CMUnitTest){
			rows[i].name, test_row, NULL, NULL, (void *)&rows[i]
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
