/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* poison_kit: pages of this process that cannot be read, as memory errors leave
 * them (userfaultfd(2), Linux 6.6). */
#ifndef TEST_POISON_KIT_H
#define TEST_POISON_KIT_H

#include <linux/types.h>
#include <linux/userfaultfd.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KIT_FEATURE_POISON	(1 << 14)

/* kit_poison: sz bytes at `at`, whole pages that were never touched there; false:
 * the kernel has no poison. */
static inline bool kit_poison(void *at, __u64 sz)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = {
		.api = UFFD_API, .features = KIT_FEATURE_POISON,
	};
	struct uffdio_register reg = {
		.range = { (unsigned long)at, sz },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct {
		struct uffdio_range range;
		__u64 mode, updated;
	} arg = { .range = { (unsigned long)at, sz } };
	bool is_done = !ioctl(fd, UFFDIO_API, &api) &&
		       !ioctl(fd, UFFDIO_REGISTER, &reg) &&
		       !ioctl(fd, _IOWR(UFFDIO, 8, arg), &arg);

	close(fd);
	return is_done;
}

#endif
