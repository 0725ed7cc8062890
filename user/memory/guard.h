/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guard: turns the SIGBUS of a mapped file into a branch.
 *
 * Reading a mapping past the end of a truncated file, or writing one when the
 * file system is full, raises SIGBUS in that thread.
 *
 *     struct pt_guard guard;
 *
 *     if (pt_guard_enter(&guard)) {
 *             // SIGBUS at guard.addr; the guard is left already
 *             return pt_source_fault(src, guard.addr, err);
 *     }
 *     ... read and write mappings ...
 *     pt_guard_leave(&guard);
 *
 * As with setjmp(3): enter and leave in one function, do not return in between,
 * and a local that changes in between is volatile or not read after a fault.
 * Between them call nothing that takes a lock or allocates memory, which would
 * not be released.  Guards nest, per thread; entering costs no system call.
 *
 * The handler is installed at the first enter, unless that is barred: then no
 * guard catches anything, and files must be read and written by system call.  A
 * SIGBUS outside of a guard, or sent by kill(2), has its previous effect: by
 * default it kills.
 */
#ifndef MEMORY_GUARD_H
#define MEMORY_GUARD_H

#include <setjmp.h>
#include <stdbool.h>

struct pt_guard {
	sigjmp_buf env;
	struct pt_guard *outer;
	void *addr;		/* after a fault: the byte that failed */
};

/* pt_guard_enter(guard): false at first, true after a fault. */
#define pt_guard_enter(guard) \
	(pt_guard_push(guard), sigsetjmp((guard)->env, 0) != 0)

void pt_guard_push(struct pt_guard *guard);	/* for pt_guard_enter only */
void pt_guard_leave(struct pt_guard *guard);	/* the innermost */

/* pt_guard_bar: this process has not asked for the handler; has no effect once
 * pt_guard_allow was called, which lifts it for good.  Any thread; before
 * sources and sinks are opened. */
void pt_guard_bar(void);
void pt_guard_allow(void);
bool pt_guard_is_barred(void);

#endif
