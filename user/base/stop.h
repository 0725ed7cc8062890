/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stop: waits that end early when the process is to stop.  stop_fd becomes
 * readable then; -1 means that there is none. */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include <pagetrim/error.h>

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
