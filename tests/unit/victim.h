/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* victim: a child with threads and memory of all kinds, to be stopped and
 * read. */
#ifndef TEST_VICTIM_H
#define TEST_VICTIM_H

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "scratch.h"
#include "source/source.h"

#define PAGE 4096u
#define REGION (2u << 20)
#define THREADS 4

/* State that child and test share; in a shared mapping, which is itself left
 * out of the source. */
static struct shared {
	volatile __u64 beats[THREADS];	/* each thread counts its own up */
	volatile int ready;
	volatile int signals;		/* SIGUSR1 that the child handled */
	__u8 *anon;			/* 4 MiB and 3 pages, few of them used */
	__u8 *file;			/* private mapping of a file, 2 pages */
	__u8 *readonly;
	__u8 *of_all;			/* shared mapping of that file */
	__u8 *guarded;			/* 2 pages, one a guard region */
	int has_guard;
	volatile int go;		/* set: it maps anew, and clears it */
	__u8 *come;			/* mapped then */
	__u8 *sparse;			/* 8 regions, none of them touched; the
					 * file is mapped at the 7th then */
} *shared;

static bool child_maps;		/* the next one may map anew */

#define ANON_SZ (2 * REGION + 3 * PAGE)

static inline void *beat(void *arg)
{
	long i = (long)arg;

	for (;;) {
		shared->beats[i]++;
		usleep(100);
	}
	return NULL;
}

static inline void count_signal(int signo)
{
	(void)signo;
	shared->signals++;
}

static inline void *private_map(size_t sz, int prot, int fd)
{
	return mmap(NULL, sz, prot,
		    MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
}

static inline void child_main(void)
{
	int fd = scratch_file(SCRATCH "/data", 2 * PAGE);
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, count_signal);
	scratch_write(fd, 0, "first", 5);
	scratch_write(fd, PAGE, "second", 6);
	shared->file = private_map(2 * PAGE, PROT_READ | PROT_WRITE, fd);
	shared->file[1] = 'I';		/* page 1 stays the file's */
	shared->of_all = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			      fd, 0);
	shared->anon = private_map(ANON_SZ, PROT_READ | PROT_WRITE, -1);
	shared->anon[10] = 1;
	shared->anon[REGION + 5 * PAGE] = 2;
	shared->anon[ANON_SZ - 1] = 3;
	shared->sparse = private_map(8 * REGION, PROT_READ | PROT_WRITE, -1);
	shared->readonly = private_map(PAGE, PROT_READ, -1);
	shared->guarded = private_map(2 * PAGE, PROT_READ | PROT_WRITE, -1);
	memset(shared->guarded, 4, 2 * PAGE);
	/* MADV_GUARD_INSTALL, Linux 6.13 */
	shared->has_guard = !madvise(shared->guarded + PAGE, PAGE, 102);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, beat, (void *)i);
	shared->ready = 1;
	while (child_maps && !shared->go)
		usleep(1000);
	if (child_maps) {
		munmap(shared->file, 2 * PAGE);
		shared->come = private_map(64 * REGION, PROT_READ | PROT_WRITE,
					   -1);
		shared->anon[0] = 1;
		mmap(shared->sparse + 6 * REGION, 2 * PAGE,
		     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
		shared->go = 0;
	}
	for (;;)
		pause();
}

static inline pid_t child_start(void)
{
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (!pid)
		child_main();
	assert_true(pid > 0);
	while (!shared->ready)
		usleep(1000);
	/* A thread that begins may map memory, of a sanitizer. */
	for (int i = 0; i < THREADS; i++)
		while (!shared->beats[i])
			usleep(1000);
	return pid;
}

static inline void child_end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, __WALL) == pid &&
	       !WIFSIGNALED(status))	/* a stop by ptrace */
		continue;
}

static inline __u64 beats(void)
{
	__u64 sum = 0;

	for (int i = 0; i < THREADS; i++)
		sum += shared->beats[i];
	return sum;
}

/* All threads count on: waits until each has, at most 5 s. */
static inline void assert_runs(void)
{
	__u64 before[THREADS];

	for (int i = 0; i < THREADS; i++)
		before[i] = shared->beats[i];
	for (int i = 0; i < THREADS; i++) {
		for (int ms = 0; shared->beats[i] == before[i]; ms++) {
			assert_true(ms < 5000);
			usleep(1000);
		}
	}
}

static inline void assert_stands(void)
{
	__u64 before = beats();

	usleep(20000);		/* 200 beats of each thread, if it ran */
	assert_int_equal(beats(), before);
}

/* victim_init is called once, from main(). */
static inline int victim_init(void)
{
	void *map = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return -1;
	shared = map;
	return scratch_mount();
}

#endif
