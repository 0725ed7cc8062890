/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* qemu: an unmodified QEMU that waits for a guest (-incoming defer) becomes one whose
 * memory is served.
 *
 *     find     its memory, and where that is in the image       nothing is touched
 *     enter    a userfaultfd of it, by a system call in one of its threads
 *     --       here the keeper must hold the descriptor
 *     arm      registers the memory, and takes away what QEMU put there: from here on
 *              each access waits, also that of QEMU and the kernel
 *     load     once faults are answered: QEMU reads the state of its devices, and with
 *              it the guest's memory
 *
 * All of it may be done again after a server was killed, until a page was placed.
 *
 * Threads: one at a time.
 * Source: Linux Documentation/admin-guide/mm/userfaultfd.rst.
 */
#ifndef LAZY_QEMU_H
#define LAZY_QEMU_H

#include "lazy/mappers.h"
#include "lazy/record.h"
#include "vmm/qemu.h"

struct pt_lazy_qemu {
	struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX];	/* checked */
	char names[PT_LAZY_REGIONS_MAX][PT_SEGMENT_NAME_SZ];	/* in the same order */
	struct {
		int fd;			/* its file, to be written */
		__u64 off;		/* bytes into that file */
	} files[PT_LAZY_REGIONS_MAX];	/* in the order of regions */
	__u32 region_cnt;
	struct pt_lazy_sight sight;
};

/* pt_lazy_qemu_find refuses memory that another process has mapped, too: it would read
 * zeroes there; memory on a disk; and the image itself.  After a success the files are open until pt_lazy_qemu_close.
 *   -EBUSY       another process maps some of it
 * image NULL: there is none, and each memory's off is where it begins behind those
 * whose names precede its own.
 *   -EOPNOTSUPP, -ENOENT, -EINVAL  as pt_qemu_ram, pt_lazy_image_part,
 *                pt_lazy_regions_check, pt_khugepaged_check
 *   or as the system says */
int pt_lazy_qemu_find(struct pt_lazy_qemu *found, struct pt_qemu *q,
		      const struct pt_lazy_image *image, struct pt_error *err);
void pt_lazy_qemu_close(struct pt_lazy_qemu *found);

/* pt_lazy_qemu_enter returns a userfaultfd, non-blocking, that is set up.  Errors as
 * pt_enter; -EOPNOTSUPP: this kernel lacks what is needed (Linux 5.14). */
int pt_lazy_qemu_enter(struct pt_qemu *q, struct pt_error *err);

/* pt_lazy_qemu_arm: see above.
 *   -EBUSY       another userfaultfd has it
 *   -ENOMEM, ... */
int pt_lazy_qemu_arm(const struct pt_lazy_qemu *found, int uffd, struct pt_error *err);

/* pt_lazy_qemu_register is the first part of arm: faults of these kinds,
 * UFFDIO_REGISTER_MODE_MISSING and _MINOR, are waited for from now on.
 * pt_lazy_qemu_punch takes sz bytes of a region away, off bytes from its start; it has
 * them taken away when it returns 0. */
int pt_lazy_qemu_register(const struct pt_lazy_qemu *found, int uffd, __u64 modes,
			  struct pt_error *err);
int pt_lazy_qemu_punch(const struct pt_lazy_qemu *found, __u32 region, __u64 off,
		       __u64 sz, struct pt_error *err);

#endif
