/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* postcopy_impl: the internals that this room's files share. */
#ifndef POSTCOPY_POSTCOPY_IMPL_H
#define POSTCOPY_POSTCOPY_IMPL_H

#include <pthread.h>

#include "lazy/keeper.h"
#include "lazy/qemu.h"
#include "postcopy/lookout.h"
#include "postcopy/postcopy.h"

/* pt_postcopy_note: further fields of the record, in the place of a VMM's message. */
struct pt_postcopy_note {
	__u64 guest_id;		/* 0: it never ran */
	__u64 does_run;		/* QEMU has said so, or was seen to; 0: it was told to
				 * run, or was about to be told */
	__u64 placing;		/* a page of the record, plus 1, that was about to be
				 * placed and is not settled; 0: none */
	char wrong[256];	/* a fault that a session found at its end; "" */
	__u64 foreign_cnt;	/* lacking pages that were there when they came */
	__u64 foreign_page;	/* of the image; the first one that was found */
	char names[PT_LAZY_REGIONS_MAX][PT_SEGMENT_NAME_SZ];	/* of the regions */
};

#define PT_POSTCOPY_IMAGE_ID	"post-copy"	/* of the record */
#define PT_POSTCOPY_NONE	(~0ULL)		/* no page */
#define PT_POSTCOPY_WAITING_MAX	1024	/* pages of the list */

struct pt_postcopy_waiting {
	__u64 page;		/* of the record */
	__u64 read_ns;
	__u64 asked_ns;
	bool is_zero;		/* it does not lack: zeroes answer it, once they can */
};

struct pt_postcopy {
	struct pt_postcopy_cfg cfg;
	struct pt_lazy_qemu found;
	struct pt_lazy_kept kept;
	struct pt_lazy_record *r;
	struct pt_postcopy_note *note;	/* in the record */
	__u64 may_be_there;	/* of the record: placed, or not, by the process before;
				 * PT_POSTCOPY_NONE */
	pid_t pid;
	int uffd, pidfd;
	bool is_armed, is_whole;
	bool is_nobodys;		/* the keeper is this process's, or has a guest
					 * that never ran: it may end */
	int stop_fd;			/* eventfd: the thread of faults ends */
	bool has_thread, has_watcher;
	pthread_t thread, watcher;

	pthread_mutex_t look_lock;	/* of the lookout */
	struct pt_lookout lookout;

	/* A page is placed, and an event read, under the lock: nothing is placed between
	 * a removal that was read and its effect.  UFFDIO_COPY may wait for memory. */
	pthread_mutex_t lock;
	__u64 *waits;		/* bit: somebody waits for the page of the record ... */
	struct pt_postcopy_waiting waiting[PT_POSTCOPY_WAITING_MAX];
	__u32 waiting_cnt;
	__u64 *unlisted;	/* ... and it has no place in waiting yet */
	__u64 unlisted_cnt;
	struct pt_postcopy_counts counts;

	/* Control takes this one, so it is held for no call that waits. */
	pthread_mutex_t ask_lock;
	__u64 asks[PT_POSTCOPY_WAITING_MAX];	/* pages of the image */
	__u32 ask_cnt;
	struct pt_postcopy_counts shown;	/* counts, as they were last told */
	char late_mapper[80];	/* see pt_postcopy_counts */
	int wake_fd;			/* -1: nobody is told */
};

static inline __u64 pt_postcopy_addr(const struct pt_postcopy *p, __u64 page)
{
	const struct pt_lazy_region *region = pt_lazy_region_of(p->r, page);

	return region->addr + (page - region->first) * PT_PAGE_SZ;
}

/* note.c: open finds the note in the record; begin has the record say which pages
 * lack. */
void pt_postcopy_note_open(struct pt_postcopy *p);
void pt_postcopy_note_begin(struct pt_postcopy *p, const __u64 *lacks);

/* pt_postcopy_new: with nothing open.  NULL: no memory. */
struct pt_postcopy *pt_postcopy_new(const struct pt_postcopy_cfg *cfg);

static inline bool pt_postcopy_bit(const __u64 *bits, __u64 at)
{
	return bits[at / 64] >> (at % 64) & 1;
}

/* faults.c: the end of the threads that pt_postcopy_serve starts, of which that of faults
 * takes over from one that was killed; answered, with the lock: the page is there, or
 * whoever waits for it is to ask again. */
void pt_postcopy_faults_end(struct pt_postcopy *p);
void pt_postcopy_answered(struct pt_postcopy *p, __u64 page);
bool pt_postcopy_is_waited_for(const struct pt_postcopy *p, __u64 page);

/* watch.c: the other thread; -EAGAIN: none.  It ends once stop_fd is readable. */
int pt_postcopy_watch(struct pt_postcopy *p);
void pt_postcopy_watch_end(struct pt_postcopy *p);

/* pt_postcopy_lookout_start: -errno and err. */
int pt_postcopy_lookout_start(struct pt_postcopy *p, struct pt_error *err);

/* pt_postcopy_release makes ordinary memory of all regions, and wakes all. */
void pt_postcopy_release(struct pt_postcopy *p);

#endif
