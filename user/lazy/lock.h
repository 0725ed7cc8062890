/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lock: one guest at a door at a time: a locked file beside it.
 *
 * Keeper and server hold the lock by one open file, so that it is free once both have
 * ended, however they did.  A file that is left says nothing.  Threads: no state.
 */
#ifndef LAZY_LOCK_H
#define LAZY_LOCK_H

/* pt_lazy_lock_take locks the file of a name in a folder, and returns it.
 *   -EWOULDBLOCK  another process has the lock
 *   or as open(2) */
int pt_lazy_lock_take(int folder_fd, const char *name);

/* pt_lazy_lock_end removes the file, and closes it: the caller has the lock. */
void pt_lazy_lock_end(int fd, int folder_fd, const char *name);

#endif
