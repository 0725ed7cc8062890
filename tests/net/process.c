/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* process: a program that writes its memory until it is killed, to be sent while
 * it runs.
 *
 *     process MIB WRITES [OPTION...]
 *
 * It writes WRITES blocks per millisecond, each with another number, into MIB of
 * private anonymous memory, a private mapping of a file, and MIB of shared memory,
 * and now and then gives pages back.  `ready` is printed first; then, for each
 * byte on stdin, how many blocks were written.  Options:
 *
 *     huge     it also has 4 MiB of private huge pages
 *     sparse   it also has 16 GiB of address space, three pages of it written
 *     code     it also has 1 MiB of code, and 1 MiB that is locked away: each can be
 *              written only while it is
 *     busy     no thread waits in poll(2), where it could be entered
 *     filter   it has a seccomp filter
 *     maps     every 10 ms it maps memory, writes it, and unmaps older memory
 *     vfork    a thread that SIGUSR1 wakes does not stop before its child has slept
 *              for 12 s
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/types.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE		4096ULL
#define MIB		(1ULL << 20)
#define SPARSE_SZ	(16ULL << 30)
#define HUGE_SZ		(4 * MIB)
#define FILE_SZ		(64 * PAGE)
#define MAPPED_CNT	64

struct area {
	__u8 *at;
	__u64 sz;
	int gives_back;			/* pages, by madvise(2) */
	int rest;			/* protection between two writes */
};

#define WRITABLE (PROT_READ | PROT_WRITE)

static struct area areas[8];
static unsigned area_cnt;
static __u64 writes_per_ms;
static atomic_ullong written;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static __u64 draw(__u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static __u8 *map(__u64 sz, int flags, int fd)
{
	__u8 *at = mmap(NULL, sz, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		fail("mmap");
	return at;
}

static void area_add(__u8 *at, __u64 sz, int gives_back)
{
	areas[area_cnt++] = (struct area){ at, sz, gives_back, WRITABLE };
}

static void protect(const struct area *area, int protection)
{
	if (area->rest != WRITABLE &&
	    mprotect(area->at, area->sz, protection))
		fail("mprotect");
}

static void add_protected(int rest)
{
	area_add(map(MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1), MIB, 0);
	memset(areas[area_cnt - 1].at, 'c', MIB / 2);
	areas[area_cnt - 1].rest = rest;
	protect(&areas[area_cnt - 1], rest);
}

/* fill writes every second page. */
static void fill(__u8 *at, __u64 sz)
{
	__u64 state = 5;

	for (__u64 off = 0; off < sz; off += 2 * PAGE)
		for (__u64 i = 0; i < PAGE; i += 8)
			*(__u64 *)(at + off + i) = draw(&state);
}

static void add_file(void)
{
	int fd = memfd_create("process", 0);
	__u8 *at;

	if (fd < 0 || ftruncate(fd, FILE_SZ))
		fail("memfd");
	at = map(FILE_SZ, MAP_SHARED, fd);
	memset(at, 'f', FILE_SZ);
	munmap(at, FILE_SZ);
	area_add(map(FILE_SZ, MAP_PRIVATE, fd), FILE_SZ, 1);
}

static void add_sparse(void)
{
	__u8 *at = map(SPARSE_SZ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1);

	for (__u64 i = 0; i < 3; i++)
		at[SPARSE_SZ / 3 * i] = 's';
	area_add(at + SPARSE_SZ / 3 / PAGE * PAGE, 4 * MIB, 1);
}

static void add_code(void)
{
	add_protected(PROT_READ | PROT_EXEC);
	add_protected(PROT_NONE);
}

static void write_once(__u64 *state)
{
	const struct area *area = &areas[draw(state) % area_cnt];
	__u64 n = atomic_fetch_add(&written, 1);
	__u8 *page = area->at + draw(state) % (area->sz / PAGE) * PAGE;

	protect(area, WRITABLE);
	if (n % 64 == 63 && area->gives_back)
		madvise(page, PAGE, MADV_DONTNEED);
	else
		memset(page + draw(state) % 64 * 64, n % 255 + 1, 64);
	protect(area, area->rest);
}

static void *write_on(void *arg)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	__u64 state = 7;

	for (;;) {
		for (__u64 i = 0; i < writes_per_ms; i++)
			write_once(&state);
		nanosleep(&ms, NULL);
	}
	return arg;
}

/* map_on has 33..64 mappings, one of each size, at any time. */
static void *map_on(void *arg)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	__u8 *at[MAPPED_CNT] = { 0 };

	for (__u64 n = 0;; n++) {
		__u64 i = n % MAPPED_CNT, old = (n + MAPPED_CNT / 2) % MAPPED_CNT;

		at[i] = map((i + 1) * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		memset(at[i], n % 255 + 1, (i + 1) * PAGE);
		if (at[old])
			munmap(at[old], (old + 1) * PAGE);
		nanosleep(&pause, NULL);
	}
	return arg;
}

static void *vfork_once(void *usr1)
{
	int signo;

	sigwait(usr1, &signo);
	if (!vfork()) {
		sleep(12);
		_exit(0);
	}
	return usr1;
}

static void have_vfork(void)
{
	static sigset_t usr1;
	pthread_t thread;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	if (pthread_create(&thread, NULL, vfork_once, &usr1))
		fail("thread");
}

static void have_filter(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = 1, .filter = &allow };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		fail("seccomp");
}

static void answer(int is_busy)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	char byte;

	for (;;) {
		if (!is_busy && (poll(&fd, 1, -1) < 1 || !fd.revents))
			continue;
		if (read(STDIN_FILENO, &byte, 1) != 1)
			exit(0);
		printf("%llu\n", atomic_load(&written));
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	__u64 sz = argc > 2 ? strtoull(argv[1], NULL, 10) * MIB : 0;
	pthread_t thread;
	int is_busy = 0, maps = 0;

	if (!sz)
		return 2;
	writes_per_ms = strtoull(argv[2], NULL, 10);
	area_add(map(sz, MAP_PRIVATE | MAP_ANONYMOUS, -1), sz, 1);
	area_add(map(sz, MAP_SHARED | MAP_ANONYMOUS, -1), sz, 0);
	fill(areas[0].at, sz);
	add_file();
	for (int i = 3; i < argc; i++)
		if (!strcmp(argv[i], "huge"))
			area_add(map(HUGE_SZ, MAP_PRIVATE | MAP_ANONYMOUS |
				     MAP_HUGETLB, -1), HUGE_SZ, 0);
		else if (!strcmp(argv[i], "sparse"))
			add_sparse();
		else if (!strcmp(argv[i], "code"))
			add_code();
		else if (!strcmp(argv[i], "busy"))
			is_busy = 1;
		else if (!strcmp(argv[i], "filter"))
			have_filter();
		else if (!strcmp(argv[i], "vfork"))
			have_vfork();
		else if (!strcmp(argv[i], "maps"))
			maps = 1;
		else
			return 2;
	if (pthread_create(&thread, NULL, write_on, NULL) ||
	    (maps && pthread_create(&thread, NULL, map_on, NULL)))
		fail("thread");
	puts("ready");
	fflush(stdout);
	answer(is_busy);
	return 0;
}
