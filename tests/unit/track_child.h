/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* track_child: a process that waits in ppoll(2) for commands and writes its
 * memory as they say.  The test itself has none of that memory mapped. */
#ifndef TEST_TRACK_CHILD_H
#define TEST_TRACK_CHILD_H

#include "memory/proc.h"
#include "track_kit.h"

#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RAM_PAGES (3 * 512u)
#define RAM_SZ (RAM_PAGES * PAGE)

static bool child_is_large;	/* the next one may have large pages */
static bool child_is_empty;	/* the next one writes nothing by itself */
static bool child_polls;	/* the next one waits in poll(2), not ppoll */

struct child {
	pid_t pid;
	int to, from;		/* pipes */
	__u8 *map;		/* there */
	int fd;			/* of its memory; -1: private */
};

struct order {
	char what;
	__u64 page;
};

struct answer {
	__u64 done_cnt;		/* orders before this one */
	__u64 odd_cnt;		/* calls of ppoll(2) that ended without any */
	__u64 sum;		/* of the first bytes of all pages */
};

static inline __u64 child_sum(const __u8 *map)
{
	__u64 sum = 0;

	for (__u64 i = 0; i < RAM_PAGES; i++)
		sum += map[i * PAGE];
	return sum;
}

static inline void child_do(__u8 **map, volatile __u8 **alias, int fd,
			    const struct order *o)
{
	__u8 *page = *map + o->page * PAGE;
	int zero;

	switch (o->what) {
	case 'w':
		(*(volatile __u8 *)page)++;
		break;
	case 'r':	/* the kernel writes */
		zero = open("/dev/urandom", O_RDONLY);
		if (read(zero, page + 8, 64) != 64)
			_exit(2);
		close(zero);
		break;
	case 'd':	/* its page table entry goes */
		madvise(page, PAGE, MADV_DONTNEED);
		break;
	case 'D':	/* its page table goes */
		if (madvise(page, 512 * PAGE, MADV_DONTNEED))
			_exit(5);
		break;
	case 'p':
		madvise(page, PAGE, MADV_REMOVE);
		break;
	case 'u':
		munmap(page, PAGE);
		break;
	case 'm':	/* as it was, but mapped anew */
		mmap(*map, RAM_SZ, PROT_READ | PROT_WRITE, MAP_FIXED |
		     (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
		     fd, 0);
		break;
	case 'a':	/* once more, at another address */
		*alias = mmap(NULL, RAM_SZ, PROT_READ | PROT_WRITE, MAP_SHARED,
			      fd, 0);
		break;
	case 'A':
		(*alias)[o->page * PAGE]++;
		break;
	case 'q':	/* others may hold ends of its pipes */
		_exit(0);
	case 'x':
		execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(3);
	}
}

/* child_main maps its memory, announces where, and obeys. */
static inline void child_main(int to, int from, int fd, void (*before)(void))
{
	volatile __u8 *alias = NULL;
	struct answer a = { 0 };
	struct order o;
	__u8 *map;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Large pages need an address that is a multiple of theirs. */
	map = mmap(NULL, RAM_SZ + (2u << 20), PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map += -(__u64)map % (2u << 20);
	map = mmap(map, RAM_SZ, PROT_READ | PROT_WRITE, MAP_FIXED |
		   (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), fd, 0);
	if (map == MAP_FAILED)
		_exit(1);
	if (!child_is_large)
		madvise(map, RAM_SZ, MADV_NOHUGEPAGE);
	for (__u64 i = 0; fd < 0 && !child_is_empty && i < RAM_PAGES - 10; i++)
		map[i * PAGE] = i;
	if (before)
		before();
	if (write(to, &map, sizeof(map)) != sizeof(map))
		_exit(1);
	for (;;) {
		struct pollfd p = { .fd = from, .events = POLLIN };

		if ((child_polls ? poll(&p, 1, -1) : ppoll(&p, 1, NULL, NULL))
		    < 1 || !p.revents) {
			a.odd_cnt++;
			continue;
		}
		if (read(from, &o, sizeof(o)) != sizeof(o))
			_exit(0);
		child_do(&map, &alias, fd, &o);
		if (o.what == 's')
			a.sum = child_sum(map);
		if (o.what == 'a')
			a.sum = (__u64)alias;
		if (write(to, &a, sizeof(a)) != sizeof(a))
			_exit(1);
		a.done_cnt++;
	}
}

/* child_waits: until it waits for an order: poll(2), which may have been
 * interrupted, or ppoll(2). */
static inline void child_waits(const struct child *c)
{
	char path[64], text[16] = "";

	snprintf(path, sizeof(path), "/proc/%d/syscall", c->pid);
	while (strncmp(text, "7 ", 2) && strncmp(text, "219 ", 4) &&
	       strncmp(text, "271 ", 4)) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t got = read(fd, text, sizeof(text) - 1);

		assert_true(got > 0);
		close(fd);
	}
}

/* child_fork: number 0: any. */
static inline pid_t child_fork(pid_t number)
{
	struct clone_args args = { .exit_signal = SIGCHLD,
		.set_tid = (__u64)(unsigned long)&number, .set_tid_size = 1 };

	return number ? syscall(SYS_clone3, &args, sizeof(args)) : fork();
}

/* child_start_as starts it with a number that is free. */
static inline void child_start_as(struct child *c, pid_t number, int fd,
				  void (*before)(void))
{
	int ask[2], answer[2];

	assert_int_equal(pipe2(ask, O_CLOEXEC) + pipe2(answer, O_CLOEXEC), 0);
	c->fd = fd;
	c->pid = child_fork(number);
	if (!c->pid) {
		close(ask[1]);
		close(answer[0]);
		child_main(answer[1], ask[0], fd, before);
	}
	assert_true(c->pid > 0);
	close(ask[0]);
	close(answer[1]);
	c->to = ask[1];
	c->from = answer[0];
	assert_int_equal(read(c->from, &c->map, sizeof(c->map)),
			 sizeof(c->map));
	child_waits(c);
}

/* child_is_left: until no process traces it. */
static inline void child_is_left(const struct child *c)
{
	while (pt_proc_number(c->pid, "TracerPid:") > 0)
		continue;
}

static inline void child_start(struct child *c, int fd, void (*before)(void))
{
	child_start_as(c, 0, fd, before);
}

static inline struct answer child_obeys(const struct child *c, char what,
					__u64 page)
{
	struct order o = { .what = what, .page = page };
	struct answer a;

	assert_int_equal(write(c->to, &o, sizeof(o)), sizeof(o));
	assert_int_equal(read(c->from, &a, sizeof(a)), sizeof(a));
	child_waits(c);
	return a;
}

/* child_becomes_sleep has the child call execve(2). */
static inline void child_becomes_sleep(const struct child *c)
{
	struct order o = { .what = 'x' };
	char path[64], name[16] = "";

	snprintf(path, sizeof(path), "/proc/%d/comm", c->pid);
	assert_int_equal(write(c->to, &o, sizeof(o)), sizeof(o));
	while (strncmp(name, "sleep", 5)) {
		int comm = open(path, O_RDONLY | O_CLOEXEC);

		assert_true(read(comm, name, 15) > 0);
		close(comm);
	}
}

static inline void child_end(struct child *c)
{
	struct order o = { .what = 'q' };
	int status;

	assert_int_equal(write(c->to, &o, sizeof(o)), sizeof(o));
	assert_int_equal(waitpid(c->pid, &status, __WALL), c->pid);
	assert_int_equal(status, 0);
	close(c->to);
	close(c->from);
}

static inline void child_kill(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, __WALL);
	close(c->to);
	close(c->from);
}

/* ram_new: memory of a file, most of it written. */
static inline int ram_new(unsigned int flags)
{
	int fd = memfd_create("ram", MFD_CLOEXEC | flags);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, RAM_SZ), 0);
	for (__u64 i = 0; !flags && i < RAM_PAGES - 10; i++) {
		__u8 byte = i;

		scratch_write(fd, i * PAGE, &byte, 1);
	}
	return fd;
}

static inline int track(struct pt_tracker **t, const struct child *c,
			const struct pt_track_moments *moments,
			struct pt_error *err)
{
	struct pt_track_range range = { .addr = (__u64)c->map, .sz = RAM_SZ,
					.page_idx = 512 };

	return pt_tracker_open_wp(t, c->pid, &range, 1, moments, err);
}

static inline struct pt_tracker *track_armed(const struct child *c)
{
	struct pt_tracker *t = NULL;
	struct pt_error err = { 0 };

	if (track(&t, c, NULL, &err))
		fail_msg("%s", err.text);
	arm(t);
	return t;
}

#endif
