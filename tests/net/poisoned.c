/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* poisoned: a program with pages that cannot be read, as memory errors leave them
 * (userfaultfd(2), Linux 6.6).
 *
 *     poisoned PAGES PAGE...
 *
 * It writes PAGES pages of private memory, each full of its own number, but for the
 * named ones, which are poisoned.  It prints the guest page number of the first, and
 * waits to be killed.
 */
#include <fcntl.h>
#include <linux/types.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE		4096ULL
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

int main(int argc, char **argv)
{
	__u64 cnt = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	__u64 *at = mmap(NULL, cnt * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	if (at == MAP_FAILED)
		fail("mmap");
	madvise(at, cnt * PAGE, MADV_NOHUGEPAGE);
	fd = poison_open((__u8 *)at, cnt * PAGE);
	for (int i = 2; i < argc; i++) {
		struct poison arg = {
			.range = {
				(unsigned long)at + strtoull(argv[i], NULL, 10) *
				PAGE, PAGE,
			},
		};

		if (ioctl(fd, _IOWR(UFFDIO, 8, arg), &arg))
			fail("UFFDIO_POISON");
	}
	close(fd);
	for (__u64 page = 0; page < cnt; page++) {
		int is_poisoned = 0;

		for (int i = 2; i < argc; i++)
			is_poisoned |= strtoull(argv[i], NULL, 10) == page;
		for (__u64 i = 0; !is_poisoned && i < PAGE / 8; i++)
			at[page * PAGE / 8 + i] = page + 1;
	}
	printf("%llu\n", (unsigned long long)at / PAGE);
	fflush(stdout);
	for (;;)
		pause();
}
