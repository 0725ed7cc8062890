/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reload: reads keys and certificates again while a receiver runs, in a thread of
 * its own, since their file system may hang.
 *
 *     signal --pt_reload_ask--> thread: reads the files
 *     control polls pt_reload_fd, then takes the result --> the receiver
 *
 * systemd is told RELOADING=1 when it is asked, and READY=1 when the result of
 * the last request was taken: not before, since what is read for one request may
 * be older than the next.
 *
 * Threads: one opens, takes and closes; any may ask. */
#ifndef SERVICE_RELOAD_H
#define SERVICE_RELOAD_H

#include <stdbool.h>

#include "service/notify.h"
#include "tls/tls.h"

struct pt_reload;

/* pt_reload_open starts the thread.  cfg and notify stay the caller's, unchanged,
 * and outlive the thread; notify NULL: nobody is told. */
int pt_reload_open(struct pt_reload **out, const struct pt_tls_cfg *cfg,
		   struct pt_notify *notify, struct pt_error *err);

/* pt_reload_ask has the files read; it does not wait. */
void pt_reload_ask(struct pt_reload *r);

/* pt_reload_fd returns a descriptor for poll, POLLIN: there is a result; -1: r
 * is NULL. */
int pt_reload_fd(const struct pt_reload *r);

/* pt_reload_take returns 1, and *tls is the caller's, to pt_tls_close; 0: there
 * is no result; or -errno: a file cannot be used, and err names it. */
int pt_reload_take(struct pt_reload *r, struct pt_tls **tls,
		   struct pt_error *err);

/* pt_reload_close ends the thread.  false: it still waits for a file after a
 * second, so the process must end without exit(3), whose handlers free what the
 * thread uses.  NULL is allowed. */
bool pt_reload_close(struct pt_reload *r);

#endif
