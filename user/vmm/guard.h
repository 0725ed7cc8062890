/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guard: a process that brings the source's guest back if this one dies.
 *
 * A monitor serves one client, and a guest whose migration waits at
 * pre-switchover waits for ever if that client dies.  The guard inherits the
 * connection.  It reads nothing from it while we live:
 *
 *     stage       we die, or detach the guard
 *     IDLE        it ends; a migration that exists is another client's
 *     PREPARED    it resets the capabilities
 *     BEGUN       it cancels the migration, continues the guest and resets the
 *                 capabilities
 *     COMMITTED   it leaves the guest as it is and resets the capabilities
 *
 * pt_qemu_source_begin tells the first three.
 *
 * It has no descriptor but the connection, a socket to us and the limit of a
 * throttle that was opened, takes no signal
 * but SIGKILL, is in a session of its own and has no capability.  It is our child
 * but sends no SIGCHLD, and wait(2) without __WALL does not see it.
 *
 * It keeps a copy of the memory that this process has when it starts: start it
 * before devices and keys are opened.  That may be before source_begin.
 *
 * Threads: one at a time.
 */
#ifndef VMM_GUARD_H
#define VMM_GUARD_H

#include <pagetrim/error.h>
#include "vmm/qemu.h"

#define PT_QEMU_GUARD_MS	60000	/* for the guest to run again */

struct pt_qemu_guard;

/* pt_qemu_guard_start starts the guard of a source, whose guest must run.  On success
 * returns 0 and *out is the caller's.
 *   -EINVAL  the guest does not run
 *   -EAGAIN, -ENOMEM, -EMFILE  as fork(2), socketpair(2) */
int pt_qemu_guard_start(struct pt_qemu_guard **out, struct pt_qemu *q,
			struct pt_error *err);

/* pt_qemu_guard_tell tells the stage.  Returns 0, or -EPIPE if the guard has ended.
 * A g of NULL is allowed. */
enum pt_qemu_guard_stage {
	PT_QEMU_GUARD_IDLE = 'i',
	PT_QEMU_GUARD_PREPARED = 'p',
	PT_QEMU_GUARD_BEGUN = 'b',
	PT_QEMU_GUARD_COMMITTED = 'c',
};

int pt_qemu_guard_tell(struct pt_qemu_guard *g, enum pt_qemu_guard_stage stage);

/* pt_qemu_guard_throttled tells whether the source's throttle, if it was opened
 * before the guard was started, is in effect; the guard ends it at any stage. */
void pt_qemu_guard_throttled(struct pt_qemu_guard *g, bool is_throttled);

/* pt_qemu_guard_commit tells COMMITTED.  It is called before COMMIT may be sent: from
 * then on the guard never continues the guest.  Returns 0, or -EPIPE if the guard has
 * ended, in which case it does nothing either.  Once the destination is known not to
 * have committed, BEGUN may be told again. */
int pt_qemu_guard_commit(struct pt_qemu_guard *g);

/* pt_qemu_guard_release ends the guard, which does nothing more, and returns when it
 * has ended.  NULL is allowed. */
void pt_qemu_guard_release(struct pt_qemu_guard *g);

/* pt_qemu_guard_detach has the guard do what it does when we die, for
 * PT_QEMU_GUARD_MS, and does not wait for it.  The qemu must have been closed. */
void pt_qemu_guard_detach(struct pt_qemu_guard *g);

#endif
