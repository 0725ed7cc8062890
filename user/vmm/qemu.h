/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room vmm: a QEMU whose guest leaves, or arrives.
 *
 *   knows         QEMU's commands, its memory backends, the states of its
 *                 migration, the guard of a source
 *   may use       base memory qmp track
 *   must not know frames, connections, what carries memory and device state
 */
/* qemu: one unmodified QEMU, as the source or the destination of a guest.
 *
 *     source:       open, source_check, describe, ram
 *                   source_begin --> wait_stopped --> continue --> wait_completed
 *                     |  cancel, from any state until COMMIT is sent: the guest
 *                     +--------> runs again
 *     destination:  open, dest_check, describe, ram
 *                   dest_begin --> dest_loaded --> run
 *     from files:   open, restore_look, ram
 *                   restore_begin --> restore_loaded --> run
 *                   restore_done
 *
 * The memory goes by other ways (QEMU's x-ignore-shared): its bytes must be at
 * the destination before the device state is, thus before pt_qemu_continue.
 * The device state is a stream in both directions between the descriptors of
 * source_begin and dest_begin.  It must be carried from source_begin on, since
 * memory that is not shared (video, firmware) precedes the stop.
 *
 * A guest never runs twice: the source is paused for good once wait_completed
 * returned 0; the destination runs only by pt_qemu_run.
 *
 * Waits end after timeout_ms with -ETIMEDOUT, and err as it was; they may be
 * called again.  Errors of all functions, besides those listed:
 *   -ECONNRESET  QEMU ended, closed its monitor, or does not answer
 *   -EPROTO, -EREMOTEIO, -ENOMEM  as pt_qmp_run
 *
 * Threads: one at a time; the streams may be carried by others.
 */
#ifndef VMM_QEMU_H
#define VMM_QEMU_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include "memory/layout.h"

#define PT_QEMU_CANCEL_MS	30000	/* for the guest to run again */
#define PT_QEMU_TEXT_MAX	(64u << 10)	/* bytes of a description */
#define PT_QEMU_RANGES_MAX	256	/* memory backends */
#define PT_QEMU_PATH_SZ		80

struct pt_qemu;

/* pt_qemu_open connects to the monitor at path.  pid: QEMU's process; 0: the one
 * that listens on the socket.  On success returns 0 and *out is the caller's.
 *   -EOPNOTSUPP  QEMU is older than 4.0
 *   -ESRCH       no such process, or none is visible here
 *   or as pt_qmp_open */
int pt_qemu_open(struct pt_qemu **out, const char *path, pid_t pid,
		 struct pt_error *err);

/* pt_qemu_connect is the part of it that may need a privilege: it returns a socket, the
 * caller's, and QEMU need not answer.  pt_qemu_adopt does the rest, with a pid; the socket
 * becomes its own even if it fails.  Errors as pt_qemu_open. */
int pt_qemu_connect(const char *path, struct pt_error *err);
int pt_qemu_adopt(struct pt_qemu **out, int fd, const char *path, pid_t pid,
		  struct pt_error *err);

/* pt_qemu_close undoes what the begins set, if the migration is over.  A migration
 * that was begun and neither completed nor cancelled goes on.  NULL is allowed. */
void pt_qemu_close(struct pt_qemu *q);

pid_t pt_qemu_pid(const struct pt_qemu *q);

/* pt_qemu_range: the memory of one backend. */
struct pt_qemu_range {
	char id[PT_SEGMENT_NAME_SZ];
	__u64 sz;			/* bytes */
	__u64 addr;			/* where QEMU has it mapped */
	__u64 page_sz;			/* bytes of a page of its file */
	char path[PT_QEMU_PATH_SZ];	/* opens its file: /proc/PID/fd/N, or
					 * /proc/PID/map_files/... */
	__u64 off;			/* bytes into that file; usually 0 */
};

/* pt_qemu_ram lists the memory of all backends, by id in ascending order.  *out
 * is the caller's, to free(3).
 *   -EOPNOTSUPP  one is private, or QEMU would send it itself; or there is none
 *   -ESRCH       the process has no such memory: it is another one
 *   -EPERM, -EACCES  not permitted to look at the process
 *   -E2BIG       more than PT_QEMU_RANGES_MAX */
int pt_qemu_ram(struct pt_qemu *q, struct pt_qemu_range **out, __u32 *cnt,
		struct pt_error *err);

/* pt_qemu_describe returns in *text, to free(3), a JSON object in canonical form:
 * machine type, accelerator, memory and its backends, CPUs and their features,
 * devices.  At most PT_QEMU_TEXT_MAX bytes with the NUL (-E2BIG). */
int pt_qemu_describe(struct pt_qemu *q, char **text, struct pt_error *err);

/* pt_qemu_match compares the descriptions of a destination, ours, and of a
 * source, which is not trusted.  It returns 0, or with the key and both values
 * in err:
 *   -EINVAL  they differ
 *   -EPROTO  theirs is none */
int pt_qemu_match(const char *mine, const char *theirs, struct pt_error *err);

/* pt_qemu_source_check and pt_qemu_dest_check tell, before anything is touched,
 * whether the guest can leave, or arrive.  The begins check again, but for the
 * memory.
 *   -EINVAL      the guest does not run; or: QEMU does not wait for a guest, or by
 *                another -incoming than defer
 *   -EBUSY       a migration is on its way already
 *   -EOPNOTSUPP  a device blocks migration, or as pt_qemu_ram */
int pt_qemu_source_check(struct pt_qemu *q, struct pt_error *err);
int pt_qemu_dest_check(struct pt_qemu *q, struct pt_error *err);

/* pt_qemu_check_shared refuses a guest (-EOPNOTSUPP) with a device that another process
 * serves (vhost-user, ...), and maps its memory for that, once the device starts.  A QEMU
 * that cannot tell is taken to have none. */
int pt_qemu_check_shared(struct pt_qemu *q, struct pt_error *err);

/* pt_qemu_drain waits until all I/O of the disks that was in flight has ended; the
 * guest runs on, but for what needs QEMU's main loop.
 *   -EOPNOTSUPP  it is not known how, or a disk is too slow: nothing was done */
int pt_qemu_drain(struct pt_qemu *q, struct pt_error *err);

/* pt_qemu_throttle_open prepares a source to be slowed down, and changes nothing; it
 * precedes the start of the guard, which then undoes a throttle, too.  Errors as
 * pt_throttle_open.  pt_qemu_throttle takes so many percent of its CPU time, 0:
 * none; it is called before source_begin only, and needs no privilege. */
int pt_qemu_throttle_open(struct pt_qemu *q, struct pt_error *err);
int pt_qemu_throttle(struct pt_qemu *q, unsigned percent, struct pt_error *err);

/* pt_qemu_source_begin begins a migration to *fd, a non-blocking stream socket
 * that is the caller's; the guest runs on.  On failure nothing was begun.  It and
 * all that follow need no privilege. */
int pt_qemu_source_begin(struct pt_qemu *q, int *fd, struct pt_error *err);

/* pt_qemu_wait_stopped waits until the guest is stopped (pre-switchover).
 *   -EIO       the migration failed, for QEMU's reason
 *   -ECANCELED another client cancelled it */
int pt_qemu_wait_stopped(struct pt_qemu *q, int timeout_ms,
			 struct pt_error *err);

/* pt_qemu_continue lets QEMU send the state of the devices. */
int pt_qemu_continue(struct pt_qemu *q, struct pt_error *err);

/* pt_qemu_wait_completed waits until QEMU has heard from the destination that all
 * is loaded.  Errors as pt_qemu_wait_stopped; QEMU then runs the guest again by
 * itself, which pt_qemu_cancel makes sure of. */
int pt_qemu_wait_completed(struct pt_qemu *q, int timeout_ms,
			   struct pt_error *err);

/* pt_qemu_cancel ends the migration, if source_begin began one, and the stream, if it is
 * open yet; no other thread may close it meanwhile.  It returns 0 once the guest
 * runs as before, within PT_QEMU_CANCEL_MS, in which QEMU may be late with answers.  It undoes what source_begin
 * set.  It must not be called once COMMIT may have been sent, unless the
 * destination is known not to have committed.  A guest that was stopped for a
 * reason of its own meanwhile (an I/O error, a shutdown, another client) stays
 * so.
 *   -ETIMEDOUT  the guest does not run within the time */
int pt_qemu_cancel(struct pt_qemu *q, struct pt_error *err);

/* pt_qemu_run_again runs a guest that stands as pt_qemu_dest_loaded left it, and lets be
 * all others.  *was_loaded: it stood so.  Errors as pt_qemu_run. */
int pt_qemu_run_again(struct pt_qemu *q, bool *was_loaded, struct pt_error *err);

/* pt_qemu_gave_up looks whether a migration of this QEMU has completed, and its guest
 * stands still since.  pt_qemu_guest_id returns a number, not 0, of this QEMU's guest
 * that no other one has: it is of host, process and its start. */
int pt_qemu_gave_up(struct pt_qemu *q, bool *gave_up, struct pt_error *err);
__u64 pt_qemu_guest_id(const struct pt_qemu *q);

/* pt_qemu_quit ends QEMU.  Its end may come after the return. */
int pt_qemu_quit(struct pt_qemu *q, struct pt_error *err);

/* pt_qemu_dest_begin makes QEMU wait for the state at *fd, a non-blocking stream
 * socket that is the caller's, and not start the guest when it is loaded.  It and
 * all that follow need no privilege.  A QEMU that waits so cannot wait anew: if
 * the stream ends early, it ends. */
int pt_qemu_dest_begin(struct pt_qemu *q, int *fd, struct pt_error *err);

/* pt_qemu_restore_begin is dest_begin for a state that is in a file, which QEMU reads
 * by itself: it goes on if this process ends.  fd: at the file's start; QEMU gets a
 * descriptor of its own. */
int pt_qemu_restore_begin(struct pt_qemu *q, int fd, struct pt_error *err);

/* pt_qemu_restore_look tells how far QEMU is with that, also if another process began
 * it. */
enum pt_qemu_restore {
	PT_QEMU_WAITS,		/* for restore_begin */
	PT_QEMU_LOADS,		/* -> restore_loaded */
	PT_QEMU_LOADED,		/* and paused -> run */
	PT_QEMU_RUNS,		/* or did: it is not to be run by us */
};

/* Errors of a QEMU that is to wait:
 *   -EINVAL      its -incoming is another than defer
 *   -EOPNOTSUPP  a device writes its memory by DMA */
int pt_qemu_restore_look(struct pt_qemu *q, enum pt_qemu_restore *state,
			 struct pt_error *err);

/* pt_qemu_restore_loaded waits until the guest is loaded; another client may let it run
 * before.  -EIO: it failed, for QEMU's reason. */
int pt_qemu_restore_loaded(struct pt_qemu *q, int timeout_ms, struct pt_error *err);

/* pt_qemu_restore_done undoes what begin set, here or in a process that was killed: then
 * all capabilities that concern us are off, as QEMU has them by default. */
void pt_qemu_restore_done(struct pt_qemu *q, bool is_ours);

/* pt_qemu_dest_loaded waits until the guest is loaded, and paused.
 *   -EIO          it failed, for QEMU's reason; QEMU may have ended
 *   -EALREADY     another client let the guest run; it is paused again
 *   -EINPROGRESS  the same, and it may run on */
int pt_qemu_dest_loaded(struct pt_qemu *q, int timeout_ms,
			struct pt_error *err);

/* pt_qemu_run runs a loaded guest.  It may be called again: 0, too, if the guest
 * runs already.  -EREMOTEIO: it does not run; after any other error it may, now
 * or later. */
int pt_qemu_run(struct pt_qemu *q, struct pt_error *err);

#endif
