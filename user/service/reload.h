/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reload: reads keys and certificates again while a receiver runs, in a thread of
 * its own, since their file system may hang.
 *
 *     signal --pt_reload_ask--> thread: reads the files
 *     control polls pt_reload_fd, then takes the result --> the receiver
 *
 * Threads: one opens, takes and closes; any may ask. */
#ifndef SERVICE_RELOAD_H
#define SERVICE_RELOAD_H

#include "tls/tls.h"

struct pt_reload;

/* pt_reload_open starts the thread.  cfg stays the caller's, unchanged. */
int pt_reload_open(struct pt_reload **out, const struct pt_tls_cfg *cfg,
		   struct pt_error *err);

/* pt_reload_ask has the files read; it does not wait. */
void pt_reload_ask(struct pt_reload *r);

/* pt_reload_fd returns a descriptor for poll, POLLIN: there is a result; -1: r
 * is NULL. */
int pt_reload_fd(const struct pt_reload *r);

/* pt_reload_take returns 1, and *tls is the caller's, to pt_tls_close; 0: there
 * is no result; or -errno: a file cannot be used, and err names it. */
int pt_reload_take(struct pt_reload *r, struct pt_tls **tls,
		   struct pt_error *err);

/* pt_reload_close ends the thread; one that waits for a file stays until the
 * process ends.  NULL is allowed. */
void pt_reload_close(struct pt_reload *r);

#endif
