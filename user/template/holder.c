// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "template/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FD	3

static void keep_only(int a, int b, int c)
{
	int keep[] = { a, b, c };
	unsigned from = FIRST_FD;

	for (int i = 0; i < 3; i++)
		for (int k = i + 1; k < 3; k++)
			if (keep[k] < keep[i]) {
				int less = keep[k];

				keep[k] = keep[i];
				keep[i] = less;
			}
	for (int i = 0; i < 3; i++) {
		if ((unsigned)keep[i] > from)
			close_range(from, keep[i] - 1, 0);
		from = keep[i] + 1;
	}
	close_range(from, ~0U, 0);
}

/* detach: nobody waits for the end of its output, and no terminal ends it. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (chdir("/"))
		_exit(1);
	umask(077);
	for (int fd = 0; null >= 0 && fd < FIRST_FD; fd++)
		dup2(null, fd);
	if (null >= FIRST_FD)
		close(null);
	for (int signal_idx = 1; signal_idx < NSIG; signal_idx++)
		signal(signal_idx, SIG_DFL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "pt-template");
}

/* leave_network: a network namespace lives as long as a process in it.  The first
 * process's is there anyway; where it is closed to us, an empty one.  Without the right
 * to either we stay. */
static void leave_network(void)
{
	int first = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);

	if (first < 0 || setns(first, CLONE_NEWNET))
		unshare(CLONE_NEWNET);
	if (first >= 0)
		close(first);
}

/* is_called: the holder still calls the library: libc, the loader, a sanitizer. */
static bool is_called(const char *library)
{
	static const char *const called[] = { "/libc.so", "/libc.musl", "/ld", "san." };

	for (unsigned i = 0; i < sizeof(called) / sizeof(called[0]); i++)
		if (strstr(library, called[i]))
			return true;
	return !library[0];	/* the program itself */
}

/* forget gives back a library's tables of addresses, which the loader has written:
 * most of the memory that a process has of its own before it does anything. */
static int forget(struct dl_phdr_info *library, size_t sz, void *arg)
{
	const unsigned long page = sysconf(_SC_PAGESIZE);

	(void)sz;
	(void)arg;
	for (int i = 0; !is_called(library->dlpi_name) && i < library->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &library->dlpi_phdr[i];
		unsigned long from = library->dlpi_addr + part->p_vaddr;
		unsigned long end = from + part->p_memsz;

		from = from / page * page;
		end = end / page * page;
		if (part->p_type == PT_GNU_RELRO && end > from)
			madvise((void *)from, end - from, MADV_DONTNEED);
	}
	return 0;
}

/* hold waits for good: in a pipe whose other end it has itself, and without any
 * system call but that read. */
static _Noreturn void hold(void)
{
	int ends[2];
	char none;

	/* Others of its user open the memory through /proc. */
	prctl(PR_SET_DUMPABLE, 1);
	if (pipe(ends))
		_exit(1);
	dl_iterate_phdr(forget, NULL);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	for (;;)
		if (!read(ends[0], &none, 1))
			syscall(SYS_exit, 1);
}

static _Noreturn void be_holder(int memory, int lock, int word)
{
	char said;
	ssize_t sz;

	keep_only(memory, lock, word);
	detach();
	leave_network();
	do
		sz = read(word, &said, 1);
	while (sz < 0 && errno == EINTR);
	if (sz != 1)
		_exit(1);
	close(word);
	hold();
}

int pt_holder_start(struct pt_holder *h, int memory, int lock)
{
	int ends[2];

	*h = (struct pt_holder){ .word = -1 };
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	h->pid = fork();
	if (!h->pid) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		be_holder(memory, lock, ends[0]);
	}
	close(ends[0]);
	if (h->pid < 0) {
		int code = errno;

		close(ends[1]);
		return -code;
	}
	h->word = ends[1];
	return 0;
}

int pt_holder_hold(struct pt_holder *h)
{
	int code = write(h->word, "h", 1) == 1 ? 0 : -errno;

	close(h->word);
	h->word = -1;
	return code;
}

void pt_holder_drop(struct pt_holder *h)
{
	if (h->word < 0)
		return;
	close(h->word);
	h->word = -1;
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
