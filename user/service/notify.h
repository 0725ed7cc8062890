/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room service: the process as a service of the init system.
 *
 *   knows         the states that systemd is notified of, its watchdog, files
 *                 that are read again
 *   may use       base peers tls
 *   must not know transfers, the command line
 */
/* notify: reports the state of the process to systemd, as sd_notify(3) defines
 * it, and feeds its watchdog.
 *
 *     pt_notify_open       reads NOTIFY_SOCKET and WATCHDOG_USEC
 *     pt_notify_start      after privileges were given up: starts the thread
 *     pt_notify_say        queues a state; pt_notify_alive proves progress
 *     pt_notify_close      sends what is queued, for a second at most
 *
 *     caller --texts, proofs of life--> queue --thread--> socket of systemd
 *
 * A thread sends, since a socket that nobody reads blocks.  It sends WATCHDOG=1
 * each half of the watchdog's time, and EXTEND_TIMEOUT_USEC while the process
 * stays, but only if pt_notify_alive was called since the last time: it is the
 * caller's loop that lives, not this thread.
 * Without NOTIFY_SOCKET, or built without libsystemd, nothing is sent.
 *
 * Threads: one opens, starts and closes; any may say and be alive.
 */
#ifndef SERVICE_NOTIFY_H
#define SERVICE_NOTIFY_H

#include <stdbool.h>

#include <pagetrim/error.h>

#define PT_NOTIFY_TEXT_SZ	512	/* bytes of a state, with NUL */

struct pt_notify;

/* pt_notify_is_built: this build has libsystemd. */
bool pt_notify_is_built(void);

/* pt_notify_open: on success returns 0 and *out is the caller's, to
 * pt_notify_close; NULL: nobody wants to be notified.  All functions allow
 * NULL.  -ENOMEM; err says so. */
int pt_notify_open(struct pt_notify **out, struct pt_error *err);

/* pt_notify_start: -errno if the thread cannot be started. */
int pt_notify_start(struct pt_notify *n, struct pt_error *err);

/* pt_notify_say queues a state: lines of sd_notify(3), such as "READY=1".  If
 * systemd reads nothing the oldest are dropped; a STATUS alone replaces one that
 * was not sent yet. */
__attribute__((format(printf, 2, 3)))
void pt_notify_say(struct pt_notify *n, const char *fmt, ...);

/* pt_notify_reloading says RELOADING=1 with its time, for Type=notify-reload;
 * READY=1 ends it. */
void pt_notify_reloading(struct pt_notify *n);

/* pt_notify_stays: from now on, or no longer, the process ends only when its work
 * has ended, and systemd's TimeoutStopSec is extended meanwhile. */
void pt_notify_stays(struct pt_notify *n, bool stays);

/* pt_notify_alive proves that the caller's loop runs.  It costs one store. */
void pt_notify_alive(struct pt_notify *n);

/* pt_notify_close ends the thread.  One that still waits for the socket after a
 * second stays until the process ends. */
void pt_notify_close(struct pt_notify *n);

#endif
