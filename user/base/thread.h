/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* thread: starts a thread that has a name and takes no signal of the process, and
 * waits for a time that is limited. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <linux/types.h>
#include <pthread.h>
#include <stdbool.h>

/* pt_thread_start starts main(arg) as pthread_create(3) does.  The thread blocks
 * all signals but those of its own faults (SIGBUS, SIGSEGV, SIGFPE, SIGILL,
 * SIGTRAP, SIGSYS), so that handlers run in the threads of the caller.  fmt makes
 * its name, up to 15 characters: "pt-lane-3".  Returns 0 or -errno. */
__attribute__((format(printf, 4, 5))) int
pt_thread_start(pthread_t *thread, void *(*main)(void *), void *arg,
		const char *fmt, ...);

/* pt_thread_wait waits for a condition of the locked mutex, until until_ns of
 * pt_clock_ns at most; false: that time has come.  It never reads the real clock,
 * which jumps.  It may return true without a cause. */
bool pt_thread_wait(pthread_cond_t *condition, pthread_mutex_t *lock,
		    __u64 until_ns);

#endif
