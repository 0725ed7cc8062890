/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* aside: a process of ours beside this one, for work of its own.
 *
 * It is a copy of one that may have had other threads in the middle of anything, so
 * it calls async-signal-safe functions only.
 */
#ifndef VMM_ASIDE_H
#define VMM_ASIDE_H

#include <linux/types.h>
#include <sys/types.h>

/* pt_aside_clone forks a child that sends no SIGCHLD, with all signals blocked.
 * Returns as fork(2). */
pid_t pt_aside_clone(void);

/* pt_aside_begin leaves session and folder, takes a name, and gives up all
 * capabilities but those of keep, a set of bits (1 << CAP_...), for good.  In the
 * child; it ends it on failure. */
void pt_aside_begin(const char *name, __u64 keep);

#endif
