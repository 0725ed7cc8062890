// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lazy/mappers.h"
#include "track/enter.h"

#define FEATURES	(UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |	\
			 UFFD_FEATURE_MISSING_HUGETLBFS |			\
			 UFFD_FEATURE_MINOR_HUGETLBFS | UFFD_FEATURE_EVENT_REMOVE)

/* ---- find ---- */

static int file_open(struct pt_lazy_qemu *found, const struct pt_qemu_range *range,
		     struct pt_error *err)
{
	int fd = open(range->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s, the memory '%s' of "
				    "QEMU: %s", range->path, range->id, strerror(errno));
	found->files[found->region_cnt].fd = fd;
	found->files[found->region_cnt].off = range->off;
	return 0;
}

/* by_addr: regions are in the order of their addresses, and so must be the files. */
static int by_addr(const void *a, const void *b)
{
	const struct pt_qemu_range *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* range_take adds one; its file is open even if it then fails. */
static int range_take(struct pt_lazy_qemu *found, const struct pt_qemu_range *range,
		      const struct pt_lazy_image *image,
		      struct pt_error *err)
{
	struct pt_lazy_region *region = &found->regions[found->region_cnt];
	int code;

	*region = (struct pt_lazy_region){
		.addr = range->addr, .sz = range->sz, .page_sz = range->page_sz,
	};
	code = pt_lazy_image_part(image, range->id, range->sz, &region->off, err);
	if (!code)
		code = file_open(found, range, err);
	if (code)
		return code;
	found->region_cnt++;
	return 0;
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
		code = range_take(found, &ranges[i], image, err);
	free(ranges);
	if (!code)
		code = pt_lazy_regions_check(found->regions, found->region_cnt,
					     pt_lazy_image_sz(image), err);
	if (!code)
		code = pt_lazy_mappers_look(&found->sight, pt_qemu_pid(q),
					    found->regions, found->region_cnt, err);
	found->sight.is_owner = true;	/* its userfaultfd will be ours */
	if (code)
		pt_lazy_qemu_close(found);
	return code;
}

void pt_lazy_qemu_close(struct pt_lazy_qemu *found)
{
	while (found->region_cnt)
		close(found->files[--found->region_cnt].fd);
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

static int not_registered(const struct pt_lazy_region *region, int code,
			  struct pt_error *err)
{
	const char *why = code == -EINVAL ? "it is on a disk (let it be on tmpfs, as "
			"/dev/shm, or on hugetlbfs)" :
		code == -EBUSY ? "another userfaultfd has it (end what serves or tracks "
			"this QEMU)" : strerror(-code);

	return pt_error_set(err, PT_EXIT_HOST, code == -EINVAL ? -EOPNOTSUPP : code,
			    "the memory at 0x%llx of QEMU cannot be served: %s",
			    region->addr, why);
}

int pt_lazy_qemu_arm(const struct pt_lazy_qemu *found, int uffd, struct pt_error *err)
{
	for (__u32 i = 0; i < found->region_cnt; i++) {
		const struct pt_lazy_region *region = &found->regions[i];
		struct uffdio_register arg = {
			.range = { .start = region->addr, .len = region->sz },
			.mode = UFFDIO_REGISTER_MODE_MISSING |
				UFFDIO_REGISTER_MODE_MINOR,
		};

		if (ioctl(uffd, UFFDIO_REGISTER, &arg))
			return not_registered(region, -errno, err);
		/* Firmware, or what another guest left. */
		if (fallocate(found->files[i].fd,
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      found->files[i].off, region->sz))
			return not_registered(region, -errno, err);
	}
	return 0;
}
