/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stop: the end of a process that is asked to stop.
 *
 * SIGINT, SIGTERM and SIGHUP (a terminal that went away) cancel the running
 * command, each time one arrives; a service may take SIGHUP for something else.
 * One that is ignored at the start, as by nohup(1), stays ignored.
 *
 *     pt_stop_open       before any thread
 *     pt_stop_begin      after privileges were given up: a thread, which hears of
 *                        signals that came since pt_stop_open, too
 *     pt_stop_end        before what is cancelled is closed
 *
 * Waits end early then: stop_fd becomes readable; -1 means that there is none.
 */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include <pagetrim/error.h>

/* pt_stop_open blocks these signals, for this thread and those it starts, and
 * returns a descriptor that is readable once one has arrived; -1 on failure. */
int pt_stop_open(void);

/* pt_stop_begin starts a thread that calls take with each signal that comes to
 * stop_fd. */
int pt_stop_begin(int stop_fd, void (*take)(int signal, void *arg), void *arg,
		  struct pt_error *err);

/* pt_stop_watch does both, for a command that asks pt_stop_is_wanted between its steps:
 * whether a signal has come.  The second one ends the process at once, whatever it waits
 * for. */
int pt_stop_watch(struct pt_error *err);
bool pt_stop_is_wanted(void);

/* pt_stop_end: take is not called after it.  Without a begin it does
 * nothing. */
void pt_stop_end(void);

/* pt_stop_wait waits for ms, or less after a signal.  It returns true at once
 * if stop_fd is readable. */
static inline bool pt_stop_wait(int stop_fd, int ms)
{
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };

	return poll(&stop, 1, ms) > 0;
}

/* pt_stop_error returns -ECANCELED. */
static inline int pt_stop_error(struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
			    "interrupted; nothing was committed");
}

#endif
