/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* poisoned: a program with pages that cannot be read, as memory errors leave them.
 *
 *     poisoned mark PAGES PAGE...    by userfaultfd(2) (Linux 6.6)
 *     poisoned break PAGES PAGE...   by MADV_HWPOISON: the kernel uses that memory no
 *                                    more until it boots
 *
 * It writes PAGES pages of private memory, each full of its own number.  The named ones
 * cannot be read.  It prints the guest page number of the first, and waits to be killed.
 */
#include <fcntl.h>
#include <linux/types.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE		4096ULL
#define PAGES_MAX	64
#define FEATURE_POISON	(1 << 14)

struct poison {		/* newer than the headers of Linux 6.1 */
	struct uffdio_range range;
	__u64 mode, updated;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int poison_open(__u8 *at, __u64 sz)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = { .api = UFFD_API, .features = FEATURE_POISON };
	struct uffdio_register reg = {
		.range = { (unsigned long)at, sz },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		fail("userfaultfd");
	return fd;
}

static void go_on(int nr)
{
	(void)nr;
}

static void mark(__u8 *at, __u64 sz, const __u64 *pages, int cnt)
{
	int fd = poison_open(at, sz);

	for (int i = 0; i < cnt; i++) {
		struct poison arg = {
			.range = { (unsigned long)at + pages[i] * PAGE, PAGE },
		};

		if (ioctl(fd, _IOWR(UFFDIO, 8, arg), &arg))
			fail("UFFDIO_POISON");
	}
	close(fd);
}

static void write_all(__u8 *at, __u64 page_cnt, const __u64 *but, int but_cnt)
{
	for (__u64 page = 0; page < page_cnt; page++) {
		__u64 *words = (__u64 *)(at + page * PAGE);
		bool is_left_out = false;

		for (int i = 0; i < but_cnt; i++)
			is_left_out |= but[i] == page;
		for (__u64 i = 0; !is_left_out && i < PAGE / 8; i++)
			words[i] = page + 1;
	}
}

int main(int argc, char **argv)
{
	bool is_broken = argc > 2 && !strcmp(argv[1], "break");
	__u64 cnt = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, pages[PAGES_MAX];
	int page_cnt = 0;
	__u8 *at = mmap(NULL, cnt * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("mmap");
	madvise(at, cnt * PAGE, MADV_NOHUGEPAGE);
	while (page_cnt < PAGES_MAX && page_cnt + 3 < argc) {
		pages[page_cnt] = strtoull(argv[page_cnt + 3], NULL, 10);
		page_cnt++;
	}
	if (!is_broken)
		mark(at, cnt * PAGE, pages, page_cnt);
	signal(SIGBUS, go_on);	/* the kernel also reports what it breaks so */
	write_all(at, cnt, pages, is_broken ? 0 : page_cnt);
	for (int i = 0; is_broken && i < page_cnt; i++)
		if (madvise(at + pages[i] * PAGE, PAGE, MADV_HWPOISON))
			fail("MADV_HWPOISON");
	printf("%llu\n", (unsigned long long)(unsigned long)at / PAGE);
	fflush(stdout);
	for (;;)
		pause();
}
