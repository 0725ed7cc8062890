/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* record: the state of one guest's memory, in a memfd that outlives the server.
 *
 *     the VMM's message, as it came
 *     once it was found right (is_begun):
 *     regions, in the order of their addresses     --> pages 0..page_cnt, of 4096 bytes
 *     a bit for each page: pending                 --> it is to come from the image
 *     the events that were read last
 *
 * It is made before there is a VMM, with room for all pages of the image, and its size
 * is sealed.  A server that was killed leaves it so that the next one goes on: is_begun
 * is set last.
 *
 * A page that is not pending is placed, or the guest gave it away: a fault there is
 * answered with zeroes.  A bit is never set again.  So all that a server may do twice,
 * after the one before it was killed, is harmless: a page that is placed already is
 * found so by the kernel (EEXIST).
 *
 * Events are read into the record itself: a removal that was taken from the kernel is
 * there even if the server is killed right after the system call.
 *
 * Threads: one server at a time writes; the keeper writes the message, and reads
 * waits_since_ns and read_cnt.
 * Memory: 1 bit per page.
 */
#ifndef LAZY_RECORD_H
#define LAZY_RECORD_H

#include <linux/types.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

#include "lazy/image.h"

#define PT_LAZY_REGIONS_MAX	256
#define PT_LAZY_MESSAGE_MAX	(64u << 10)	/* bytes, of a VMM */
#define PT_LAZY_EVENTS		16	/* that are read at once */
#define PT_LAZY_PAGE_MAX	(32u << 20)	/* bytes of a large page */

struct pt_lazy_region {
	__u64 addr;		/* in the VMM */
	__u64 sz;		/* bytes, a multiple of page_sz */
	__u64 off;		/* bytes into the image */
	__u64 page_sz;		/* bytes */
	__u64 first;		/* number of its first page; pt_lazy_record's */
};

/* PT_LAZY_COUNTS(X): X(field, key in JSON, meaning), in 4096-byte pages but faults. */
#define PT_LAZY_COUNTS(X)						\
	X(faults, "faults", "faults answered")				\
	X(served, "served", "pages placed for a fault, with their units") \
	X(filled, "filled", "pages placed in the background")		\
	X(zero, "zero", "pages that are zero in the image")		\
	X(removed, "removed", "pages that the guest gave away first")	\
	X(poisoned, "poisoned", "damaged pages")			\
	X(there, "there-already", "pages that were there already")

struct pt_lazy_counts {
#define X(field, key, meaning) __u64 field;
	PT_LAZY_COUNTS(X)
#undef X
};

struct pt_lazy_record {
	__u64 magic;
	char image_id[PT_LAZY_ID_SZ];
	__u64 page_max;		/* pages of the image */
	__u32 message_sz;	/* bytes */
	__u32 is_begun;
	__u32 is_qemu;		/* a server fetched the descriptor */
	__u32 has_run;		/* and its QEMU was told to run the guest */
	char message[PT_LAZY_MESSAGE_MAX];
	/* once is_begun */
	pid_t vmm_pid;		/* 0: it is not known */
	__u32 server_cnt;	/* servers so far */
	__u32 region_cnt;
	struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX];
	__u64 page_cnt;
	__u64 pending_cnt;	/* a hint after a kill: see pt_lazy_record_open */
	__u64 waits_since_ns;	/* a fault that was read is not answered; 0: none */
	__u64 read_cnt;		/* reads of events, by all servers */
	struct uffd_msg events[PT_LAZY_EVENTS];	/* event 0: none */
	struct pt_lazy_counts counts;
	__u64 pending[];	/* bit page % 64 of [page / 64] */
};

/* pt_lazy_regions_check sorts regions by address and sets their first.  image_sz:
 * bytes, or 0: not known.
 *   -EINVAL  none, or more than PT_LAZY_REGIONS_MAX; one is empty, is not whole pages,
 *            has pages of another size than a power of two of 4096..PT_LAZY_PAGE_MAX
 *            bytes, ends behind the image or the address space, or overlaps another */
int pt_lazy_regions_check(struct pt_lazy_region *regions, __u32 cnt, __u64 image_sz,
			  struct pt_error *err);

/* pt_lazy_record_make makes a record for an image of page_max pages, and returns its
 * memfd.  -ENOMEM, -EMFILE, ... */
int pt_lazy_record_make(struct pt_lazy_record **out, __u64 page_max,
			const char *image_id, struct pt_error *err);

/* pt_lazy_record_begin: a VMM of these checked regions came; all pages are pending. */
void pt_lazy_record_begin(struct pt_lazy_record *r,
			  const struct pt_lazy_region *regions, __u32 cnt);

/* pt_lazy_record_open maps a record, and counts what is pending.
 *   -EINVAL  no record
 *   -ESTALE  it is of another image
 *   -EPERM   its size is not sealed, or its regions are not right */
int pt_lazy_record_open(struct pt_lazy_record **out, int fd, const char *image_id,
			struct pt_error *err);
void pt_lazy_record_close(struct pt_lazy_record *r);	/* NULL: nothing */

/* pt_lazy_region_of returns the region of a page; pt_lazy_region_at that of an
 * address, or NULL. */
const struct pt_lazy_region *pt_lazy_region_of(const struct pt_lazy_record *r,
					       __u64 page);
const struct pt_lazy_region *pt_lazy_region_at(const struct pt_lazy_record *r,
					       __u64 addr);

/* pt_lazy_page_find returns whether a page of the image has an address, and its
 * number. */
bool pt_lazy_page_find(const struct pt_lazy_record *r, __u64 image_page,
		       __u64 *page);

static inline bool pt_lazy_is_pending(const struct pt_lazy_record *r, __u64 page)
{
	return r->pending[page / 64] >> (page % 64) & 1;
}

/* pt_lazy_settle: the pages are pending no more; returns how many were. */
__u64 pt_lazy_settle(struct pt_lazy_record *r, __u64 page, __u64 cnt);

/* pt_lazy_next_pending returns the first pending page from page on; page_cnt: none. */
__u64 pt_lazy_next_pending(const struct pt_lazy_record *r, __u64 page);

/* pt_lazy_remove settles the pages of a range of addresses, as far as they are in
 * regions; returns how many were pending. */
__u64 pt_lazy_remove(struct pt_lazy_record *r, __u64 start, __u64 end);

#endif
