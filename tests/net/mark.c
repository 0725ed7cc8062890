/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* mark: pages of a file that processes have mapped, as memory errors leave them.
 *
 *     mark mark PID FILE PAGE...   they cannot be read from now on, neither in that
 *                                  process nor in another (Linux 6.7)
 *     mark break FILE PAGE...      likewise, in any process, and in the file: by
 *                                  MADV_HWPOISON, so that the kernel uses that memory
 *                                  no more until it boots
 *     mark fill FILE               writes each page's number to the page
 *     mark look PID FILE           prints those that the process cannot read
 *     mark map FILE                maps the file, prints a line, and waits
 *     mark offered                 whether this kernel has such marks
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "memory/mappings.h"
#include "track/poison.h"

#define PAGE	4096ULL
#define PAGES_MAX 64

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

struct wanted {
	struct stat st;
	struct pt_mapping found;	/* of pieces that follow each other */
};

static int find(void *arg, const struct pt_mapping *m)
{
	struct wanted *w = arg;

	if (m->ino != w->st.st_ino || m->dev >> 32 != major(w->st.st_dev) ||
	    (__u32)m->dev != minor(w->st.st_dev))
		return 0;
	if (!m->off)
		w->found = *m;
	else if (m->start == w->found.end)
		w->found.end = m->end;
	return 0;
}

static struct pt_mapping mapping_of(int maps, const char *file)
{
	struct wanted w = { 0 };

	if (stat(file, &w.st) || pt_mappings_each(maps, find, &w) ||
	    !w.found.end)
		fail(file);
	return w.found;
}

static int mark(pid_t pid, int maps, __u64 start, char **pages, int cnt)
{
	struct pt_poison_range ranges[PAGES_MAX];
	struct pt_error err;

	for (int i = 0; i < cnt && i < PAGES_MAX; i++)
		ranges[i] = (struct pt_poison_range){
			start + strtoull(pages[i], NULL, 10) * PAGE, PAGE
		};
	if (!pt_poison(pid, maps, ranges, cnt, &err))
		return 0;
	fprintf(stderr, "mark: %s\n", err.text);
	return 1;
}

static int look(pid_t pid, const struct pt_mapping *m)
{
	const char *space = "";
	char path[64], byte;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		fail(path);
	for (__u64 at = m->start; at < m->end; at += PAGE) {
		if (pread(mem, &byte, 1, at) == 1)
			continue;
		printf("%s%llu", space, (at - m->start) / PAGE);
		space = " ";
	}
	printf("\n");
	close(mem);
	return 0;
}

static void *mapped(const char *file, __u64 *sz)
{
	int fd = open(file, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st))
		fail(file);
	at = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fail(file);
	*sz = st.st_size;
	return at;
}

static int fill(const char *file)
{
	__u64 sz, *at = mapped(file, &sz);

	for (__u64 i = 0; i < sz / sizeof(*at); i++)
		at[i] = i * sizeof(*at) / PAGE + 1;
	return 0;
}

static void go_on(int nr)
{
	(void)nr;
}

/* destroy: the kernel reports it by SIGBUS to the process that asked, too. */
static int destroy(const char *file, char **pages, int cnt)
{
	__u64 sz;
	__u8 *at = mapped(file, &sz);

	signal(SIGBUS, go_on);
	for (int i = 0; i < cnt; i++)
		if (madvise(at + strtoull(pages[i], NULL, 10) * PAGE, PAGE,
			    MADV_HWPOISON))
			fail("MADV_HWPOISON");
	return 0;
}

__attribute__((noreturn)) static void map(const char *file)
{
	__u64 sz;

	mapped(file, &sz);
	printf("mapped\n");
	fflush(stdout);
	for (;;)
		poll(NULL, 0, -1);
}

int main(int argc, char **argv)
{
	struct pt_mapping m;
	int maps;

	if (argc == 2 && !strcmp(argv[1], "offered"))
		return !pt_poison_is_offered();
	if (argc == 3 && !strcmp(argv[1], "map"))
		map(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "fill"))
		return fill(argv[2]);
	if (argc > 3 && !strcmp(argv[1], "break"))
		return destroy(argv[2], argv + 3, argc - 3);
	if (argc < 4)
		return 2;
	maps = pt_mappings_open(atoi(argv[2]));
	if (maps < 0)
		return 1;
	m = mapping_of(maps, argv[3]);
	return !strcmp(argv[1], "look")
		? look(atoi(argv[2]), &m)
		: mark(atoi(argv[2]), maps, m.start, argv + 4, argc - 4);
}
