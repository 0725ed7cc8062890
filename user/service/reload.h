/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reload: reads keys, certificates and the file of peers again while a receiver
 * runs, in a thread of its own, since their file system may hang.
 *
 *     signal --pt_reload_ask--> thread: reads the files
 *     control polls pt_reload_fd, then takes the result --> the receiver
 *
 * systemd gets RELOADING=1 with each request, and READY=1 when the result of the
 * last one is taken: the files may have changed between two requests.
 *
 * Threads: one opens, takes and closes; any may ask. */
#ifndef SERVICE_RELOAD_H
#define SERVICE_RELOAD_H

#include <stdbool.h>

#include "peers/peers.h"
#include "service/notify.h"
#include "tls/tls.h"

struct pt_reload;

struct pt_reload_cfg {
	const struct pt_tls_cfg *tls;
	const char *peers_path;		/* NULL: none */
	const char *peers_base;
	struct pt_notify *notify;	/* NULL: nobody is told */
};

/* pt_reloaded: the files' contents; the caller closes both. */
struct pt_reloaded {
	struct pt_tls *tls;
	struct pt_peers *peers;		/* NULL: no peers_path */
};

/* pt_reload_open starts the thread.  All that cfg refers to stays the caller's,
 * unchanged, and outlives the thread. */
int pt_reload_open(struct pt_reload **out, const struct pt_reload_cfg *cfg,
		   struct pt_error *err);

/* pt_reload_ask has the files read; it does not wait. */
void pt_reload_ask(struct pt_reload *r);

/* pt_reload_fd returns a descriptor for poll, POLLIN: there is a result; -1: r
 * is NULL. */
int pt_reload_fd(const struct pt_reload *r);

/* pt_reload_take returns 1, and *out is the caller's; 0: there is no result; or
 * -errno: a file cannot be used, and err names it. */
int pt_reload_take(struct pt_reload *r, struct pt_reloaded *out,
		   struct pt_error *err);

/* pt_reload_close ends the thread.  false: it still waits for a file after a
 * second, so the process must end without exit(3), whose handlers free what the
 * thread uses.  NULL is allowed. */
bool pt_reload_close(struct pt_reload *r);

#endif
