/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room postcopy: a guest that runs while the rest of its memory still comes.
 *
 *   knows         which pages lack, page faults of the guest's process, placing what
 *                 came where somebody may wait for it
 *   may use       base lazy vmm
 *   must not know frames, connections, images, the command line
 */
/* postcopy: the memory of a QEMU whose guest is handed over early.
 *
 *     open --> (the rounds: ordinary memory) --> arm --> page, zero, wanted ... --> whole
 *                                                  |                                   |
 *                          close: as it was        close: waits for the next one     close
 *
 * open fetches a userfaultfd out of QEMU, and starts a keeper (lazy/keeper.h); arm takes
 * the lacking pages away, after the keeper has the descriptor and before the device
 * state is loaded, which reads memory, too.  Pages are those of the image, 4096 bytes,
 * in which the memories of QEMU stand by their names.
 *
 * A guest that runs and lacks pages outlives this process: the keeper has the descriptor
 * and the record of them, and join goes on.
 *
 *     join --> serve --> page, zero, wanted ... --> whole
 *
 * Each lacking page is placed once: by UFFDIO_COPY, which wakes whoever waits for it.
 * A page that the guest gave away in the meantime is not placed any more.  A fault on a
 * page that does not lack is answered with zeroes: it was one, or was given away.  A page
 * that is there although it lacks is counted: another process that maps the memory has
 * filled it, and the guest may have read that.
 *
 * Threads: two of its own, from arm on: one for faults, and one that looks who else has
 * the memory mapped, and whether the keeper is there; any thread may call page, zero and
 * lose; one at a time all else.  wanted waits for nothing.
 * Memory: 3 bits a page, with the record's, and 1024 pages that are asked for at once.
 */
#ifndef POSTCOPY_POSTCOPY_H
#define POSTCOPY_POSTCOPY_H

#include "lazy/latency.h"
#include "vmm/qemu.h"

struct pt_postcopy;

struct pt_postcopy_cfg {
	const char *qmp;	/* path of QEMU's monitor: the keeper's name; the caller's */
	/* warn reports faults that do not end it, in any thread; NULL: nobody does. */
	void (*warn)(void *arg, const char *text);
	void *arg;
};

struct pt_postcopy_counts {
	__u64 lacking;		/* pages, when it was armed */
	__u64 pending;		/* of these, still lacking */
	__u64 foreign;		/* of these, that another process filled first */
	__u64 faults;		/* that waited for one */
	struct pt_latency latency;	/* of these, answered */
	char late_mapper[80];	/* a process that has mapped the memory since the guest
				 * runs, as 71 (name); "": none was seen */
};

/* pt_postcopy_open: QEMU waits for a guest.  *unseen_cnt: processes that could not be looked at: one that maps
 * the memory, too, would read zeroes.
 *   -EOPNOTSUPP  large pages of hugetlbfs; a disk; this kernel cannot; or as
 *                pt_qemu_check_shared
 *   -EBUSY       another process maps the memory; another keeper is there
 *   -EPERM       QEMU may not make a userfaultfd that gets the kernel's faults
 *   or as pt_lazy_qemu_find, pt_lazy_qemu_enter, pt_lazy_keeper_meet */
int pt_postcopy_open(struct pt_postcopy **out, struct pt_qemu *q,
		     const struct pt_postcopy_cfg *cfg, __u32 *unseen_cnt,
		     struct pt_error *err);

/* pt_postcopy_join goes on with the guest that an earlier process left to the keeper.  It
 * asks QEMU nothing, which may wait in a fault.
 *   -ENOENT  there is none: no keeper, or it keeps a guest that never ran, which
 *            is released
 *   or as pt_lazy_keeper_join, pt_lazy_record_open */
int pt_postcopy_join(struct pt_postcopy **out, const struct pt_postcopy_cfg *cfg,
		     struct pt_error *err);

/* pt_postcopy_check is done before the guest runs: nobody else has mapped its memory
 * since it was armed, and the keeper is there; not armed: 0.  -EBUSY: a process has;
 * -EPIPE: the keeper has ended; or as pt_lookout_look. */
int pt_postcopy_check(struct pt_postcopy *p, struct pt_error *err);

/* pt_postcopy_serve begins to answer the faults of a guest that was joined.  -EAGAIN: no
 * thread. */
int pt_postcopy_serve(struct pt_postcopy *p, struct pt_error *err);

/* pt_postcopy_pid returns QEMU's process; pt_postcopy_guest_id the number of the guest
 * that was running, 0: none.  pt_postcopy_memory finds the memory of a number, from 0 on
 * in the order of the image; false: there are no more. */
pid_t pt_postcopy_pid(const struct pt_postcopy *p);
__u64 pt_postcopy_guest_id(const struct pt_postcopy *p);
bool pt_postcopy_memory(const struct pt_postcopy *p, __u32 idx, const char **name,
			__u64 *sz);

/* pt_postcopy_lacks returns how many pages of one memory lack from the first one from
 * *page on, which it stores there; 0: none does.  It waits for nothing. */
__u64 pt_postcopy_lacks(const struct pt_postcopy *p, __u64 *page);

/* pt_postcopy_arm: bit page % 64 of lacks[page / 64]: the page lacks.  A failure leaves
 * memory that must not be used.  Errors as pt_lazy_qemu_register, pt_lazy_qemu_punch. */
int pt_postcopy_arm(struct pt_postcopy *p, const __u64 *lacks, __u64 page_cnt,
		    struct pt_error *err);

/* pt_postcopy_tell: wake_fd, an eventfd, is written whenever wanted has news; -1: nobody
 * is told any more, once it has returned. */
void pt_postcopy_tell(struct pt_postcopy *p, int wake_fd);

/* pt_postcopy_wanted returns up to max pages for which somebody waits, ascending, and
 * each again after a while. */
__u32 pt_postcopy_wanted(struct pt_postcopy *p, __u64 *pages, __u32 max);

/* pt_postcopy_page, _zero and _lose place what came, where it lacks.
 *   -ESRCH  QEMU ended
 *   -ENOMEM there is no memory for a page, for some time */
int pt_postcopy_page(struct pt_postcopy *p, __u64 page, const void *bytes,
		     struct pt_error *err);
int pt_postcopy_zero(struct pt_postcopy *p, __u64 page, __u64 cnt,
		     struct pt_error *err);
int pt_postcopy_lose(struct pt_postcopy *p, __u64 page, __u64 cnt,
		     struct pt_error *err);

/* pt_postcopy_running is called before the guest may run, guest_id not 0: from then on
 * close leaves it to the keeper.  0: it does not run, for certain, and never did. */
void pt_postcopy_running(struct pt_postcopy *p, __u64 guest_id);

/* pt_postcopy_does_run: QEMU says that it runs.  pt_postcopy_may_stand: it was to run, and
 * that was not said: its receiver was killed, or QEMU did not answer. */
void pt_postcopy_does_run(struct pt_postcopy *p);
bool pt_postcopy_may_stand(const struct pt_postcopy *p);

/* pt_postcopy_wrong: the memory was found to be wrong, as text says.  The record keeps it
 * for the session that brings the rest; if nothing lacks, it is made ordinary memory. */
void pt_postcopy_wrong(struct pt_postcopy *p, const char *text);

/* pt_postcopy_whole makes ordinary memory of it, and ends the keeper.
 *   -EIO  a page never came, and nothing was done; or it was, and the memory is wrong: by
 *         others that filled some of it, or as an earlier session found */
int pt_postcopy_whole(struct pt_postcopy *p, struct pt_error *err);

bool pt_postcopy_is_whole(const struct pt_postcopy *p);	/* it was done */

/* pt_postcopy_lacks_none: after join, whether all pages have come: no sender is needed. */
bool pt_postcopy_lacks_none(const struct pt_postcopy *p);

void pt_postcopy_counts(struct pt_postcopy *p, struct pt_postcopy_counts *out);

void pt_postcopy_close(struct pt_postcopy *p);	/* NULL: nothing */

#endif
