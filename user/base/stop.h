/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stop: a wait ends early once the process is to stop, which a descriptor says by
 * being readable: stop_fd; -1: none. */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include <pagetrim/error.h>

/* pt_stop_wait waits for ms, less after a signal.  Returns true if stop_fd is
 * readable, at once. */
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
