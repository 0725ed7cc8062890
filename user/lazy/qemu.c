// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lazy/khugepaged.h"
#include "lazy/mappers.h"
#include "memory/mappings.h"
#include "track/enter.h"

#define FEATURES	(UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |	\
			 UFFD_FEATURE_MISSING_HUGETLBFS |			\
			 UFFD_FEATURE_MINOR_HUGETLBFS | UFFD_FEATURE_EVENT_REMOVE)

#define PUNCHES		8	/* attempts at a range */

/* ---- find ---- */

/* file_take opens the file.  QEMU is not trusted: its descriptor is taken, and not the
 * file opened by its name with our rights. */
static int file_take(const struct pt_qemu_range *range, pid_t pid)
{
	const char *fd_part = strstr(range->path, "/fd/");
	int pidfd, fd;

	if (!fd_part) {
		fd = open(range->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		return fd < 0 ? -errno : fd;
	}
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	fd = syscall(SYS_pidfd_getfd, pidfd, atoi(fd_part + 4), 0);
	fd = fd < 0 ? -errno : fd;
	close(pidfd);
	return fd;
}

/* at: the mapping that is looked for. */
struct at {
	const struct pt_qemu_range *range;
	struct stat st;
	__u64 done;		/* bytes that are right, in ascending order */
};

static int is_right(void *arg, const struct pt_mapping *m)
{
	struct at *at = arg;
	__u64 addr = at->range->addr + at->done;

	if (m->start <= addr && addr < m->end && m->is_shared &&
	    m->ino == at->st.st_ino &&
	    m->dev == ((__u64)major(at->st.st_dev) << 32 | minor(at->st.st_dev)) &&
	    m->off + (addr - m->start) == at->range->off + at->done)
		at->done += m->end - addr;
	return at->done >= at->range->sz;
}

/* is_mapped: the file is what the process has mapped there. */
static bool is_mapped(struct at *at, pid_t pid)
{
	int maps = pt_mappings_open(pid);

	if (maps < 0)
		return false;
	pt_mappings_each(maps, is_right, at);
	close(maps);
	return at->done >= at->range->sz;
}

/* file_fault returns why the file cannot be emptied and served; NULL: it can. */
static const char *file_fault(int fd, const struct pt_qemu_range *range, pid_t pid,
			      const struct pt_lazy_image *image)
{
	struct at at = { .range = range };
	struct statfs fs;

	if (fstat(fd, &at.st) || fstatfs(fd, &fs))
		return strerror(errno);
	if (fs.f_type != TMPFS_MAGIC && (unsigned long)fs.f_type != HUGETLBFS_MAGIC)
		return "it is on a disk (let it be on tmpfs, as /dev/shm, or on "
		       "hugetlbfs)";
	if (image && pt_lazy_image_is(image, at.st.st_dev, at.st.st_ino))
		return "it is the image itself, which would be emptied (start QEMU with "
		       "a new file)";
	if (!is_mapped(&at, pid))
		return "it is not the file that QEMU has mapped (start this again)";
	return NULL;
}

static int file_open(struct pt_lazy_qemu *found, const struct pt_qemu_range *range,
		     pid_t pid, const struct pt_lazy_image *image, struct pt_error *err)
{
	int fd = file_take(range, pid);
	const char *why = fd < 0 ? strerror(-fd) : file_fault(fd, range, pid, image);

	if (!why) {
		found->files[found->region_cnt].fd = fd;
		found->files[found->region_cnt].off = range->off;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return pt_error_set(err, PT_EXIT_HOST, fd < 0 ? fd : -EOPNOTSUPP, "the memory "
			    "'%s' of QEMU cannot be served: %s", range->id, why);
}

/* by_addr: regions are in the order of their addresses, and so must be the files. */
static int by_addr(const void *a, const void *b)
{
	const struct pt_qemu_range *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* range_take adds one; its file is open even if it then fails. */
static int range_take(struct pt_lazy_qemu *found, const struct pt_qemu_range *range,
		      __u64 before, pid_t pid, const struct pt_lazy_image *image,
		      struct pt_error *err)
{
	struct pt_lazy_region *region = &found->regions[found->region_cnt];
	int code = 0;

	*region = (struct pt_lazy_region){
		.addr = range->addr, .sz = range->sz, .page_sz = range->page_sz,
		.off = before,
	};
	strcpy(found->names[found->region_cnt], range->id);
	if (image)
		code = pt_lazy_image_part(image, range->id, range->sz, &region->off, err);
	if (!code)
		code = file_open(found, range, pid, image, err);
	if (code)
		return code;
	return pt_khugepaged_check(found->files[found->region_cnt++].fd, pid, err);
}

/* before: bytes of the memories whose names precede that of one. */
static __u64 before(const struct pt_qemu_range *ranges, __u32 cnt, __u32 idx)
{
	__u64 sum = 0;

	for (__u32 i = 0; i < cnt; i++)
		if (strcmp(ranges[i].id, ranges[idx].id) < 0)
			sum += ranges[i].sz;
	return sum;
}

int pt_lazy_qemu_find(struct pt_lazy_qemu *found, struct pt_qemu *q,
		      const struct pt_lazy_image *image, struct pt_error *err)
{
	struct pt_qemu_range *ranges;
	__u32 cnt;
	int code = pt_qemu_ram(q, &ranges, &cnt, err);

	found->region_cnt = 0;
	if (code)
		return code;
	qsort(ranges, cnt, sizeof(*ranges), by_addr);
	for (__u32 i = 0; !code && i < cnt; i++)
		code = range_take(found, &ranges[i], before(ranges, cnt, i),
				  pt_qemu_pid(q), image, err);
	free(ranges);
	if (!code)
		code = pt_lazy_regions_check(found->regions, found->region_cnt,
					     image ? pt_lazy_image_sz(image) : 0, err);
	if (!code)
		code = pt_lazy_mappers_look(&found->sight, pt_qemu_pid(q),
					    found->regions, found->region_cnt, err);
	found->sight.is_owner = true;	/* its userfaultfd will be ours */
	if (code)	/* QEMU is wrong for it, and sent nothing */
		err->exit = PT_EXIT_HOST;
	if (code)
		pt_lazy_qemu_close(found);
	return code;
}

void pt_lazy_qemu_close(struct pt_lazy_qemu *found)
{
	while (found->region_cnt)
		if (found->files[--found->region_cnt].fd >= 0)
			close(found->files[found->region_cnt].fd);
}

/* ---- enter ---- */

int pt_lazy_qemu_enter(struct pt_qemu *q, struct pt_error *err)
{
	struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
	int fd = pt_enter(pt_qemu_pid(q), true, NULL, err);

	if (fd < 0)
		return fd;
	if (!ioctl(fd, UFFDIO_API, &api) &&
	    !fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return fd;
	close(fd);
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "this kernel's userfaultfd "
			    "cannot serve shared memory (Linux 5.14 can)");
}

/* ---- arm ---- */

static int failed(const char *what, const struct pt_lazy_region *region, int code,
		  struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "the memory at 0x%llx of QEMU cannot "
			    "be %s: %s", region->addr, what, code == -EBUSY ?
			    "another userfaultfd has it (end what serves or tracks this "
			    "QEMU)" : strerror(-code));
}

int pt_lazy_qemu_register(const struct pt_lazy_qemu *found, int uffd, __u64 modes,
			  struct pt_error *err)
{
	for (__u32 i = 0; i < found->region_cnt; i++) {
		const struct pt_lazy_region *region = &found->regions[i];
		struct uffdio_register arg = {
			.range = { .start = region->addr, .len = region->sz },
			.mode = modes,
		};

		if (ioctl(uffd, UFFDIO_REGISTER, &arg))
			return failed("registered", region, -errno, err);
	}
	return 0;
}

/* A large page of the file may be emptied in part by writing zeroes, which would count
 * as its content. */
int pt_lazy_qemu_punch(const struct pt_lazy_qemu *found, __u32 idx, __u64 off, __u64 sz,
		       struct pt_error *err)
{
	const struct pt_lazy_region *region = &found->regions[idx];
	int fd = found->files[idx].fd;
	__u64 at = found->files[idx].off + off;
	off_t data;

	for (int i = 0; i < PUNCHES; i++) {
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, sz))
			return failed("emptied", region, -errno, err);
		data = lseek(fd, at, SEEK_DATA);
		if ((data < 0 && errno == ENXIO) || (data >= 0 && (__u64)data >= at + sz))
			return 0;
	}
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "the memory at 0x%llx of QEMU "
			    "cannot be emptied in part: it stands in large pages that "
			    "the kernel does not split (mount it without huge=)",
			    (unsigned long long)region->addr);
}

int pt_lazy_qemu_arm(const struct pt_lazy_qemu *found, int uffd, struct pt_error *err)
{
	int code = pt_lazy_qemu_register(found, uffd, UFFDIO_REGISTER_MODE_MISSING |
					 UFFDIO_REGISTER_MODE_MINOR, err);

	if (code)
		return code;
	/* Firmware, or what another guest left. */
	for (__u32 i = 0; i < found->region_cnt; i++)
		if (fallocate(found->files[i].fd,
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      found->files[i].off, found->regions[i].sz))
			return failed("emptied", &found->regions[i], -errno, err);
	return 0;
}
