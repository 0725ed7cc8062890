/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* arrival: the QEMU of this host that waits for a guest, as receive uses it.
 *
 *     open --> (receiver: match, begin, loaded, commit: run) --> close
 *
 * open needs the right to trace QEMU; all else goes through the descriptors that
 * it opened.  Threads: one at a time.
 */
#ifndef CLI_ARRIVAL_H
#define CLI_ARRIVAL_H

#include <jansson.h>

#include "postcopy/postcopy.h"
#include "receive/guest.h"
#include "sink/sink.h"
#include "vmm/collapse.h"
#include "vmm/marker.h"
#include "vmm/qemu.h"

/* pt_arrival_state: how far the guest is. */
enum pt_arrival_state {
	PT_ARRIVAL_WAITS,	/* QEMU waits for any guest, -incoming defer */
	PT_ARRIVAL_BEGUN,	/* it waits for the state of this one */
	PT_ARRIVAL_LOADED,	/* the guest is loaded, and paused */
	PT_ARRIVAL_RAN,		/* another client let it run; it is paused */
	PT_ARRIVAL_MAY_RUN,	/* it was told to run, and did not answer */
	PT_ARRIVAL_RUNS,
};

/* pt_arrival_with: preparations besides those for any guest. */
struct pt_arrival_with {
	bool large;		/* large pages are built */
	bool faults;		/* the guest may run before its memory is whole */
};

/* pt_arrival: all zero: none.  Its address must not change while it is open. */
struct pt_arrival {
	const char *qmp;	/* path of the monitor's socket */
	const char *control_path;	/* for a record before the guest runs; NULL */
	struct pt_qemu *qemu;	/* NULL: not open, or the guest runs already */
	pid_t pid;		/* of QEMU */
	int pidfd;		/* of QEMU, readable when it has ended; -1 */
	char *description;
	struct pt_collapser *collapser;	/* for large pages; NULL: not wanted */
	struct pt_marker *marker;	/* for pages that cannot be read; NULL: the
					 * kernel has no marks */
	int monitor_fd;		/* a connection to QEMU's monitor, which was not heard
				 * yet, of a guest that may have to be run; -1 */
	struct pt_postcopy *postcopy;	/* the guest may run before its memory is
					 * whole; NULL: it may not */
	__u32 unseen_cnt;	/* processes that could map it, too */
	struct pt_sink *sink;	/* its memory */
	struct pt_receive_guest guest;
	enum pt_arrival_state state;
	struct pt_error why;	/* that QEMU was not asked whether the guest runs */
	__u64 memory_sz;	/* bytes */
	__u32 range_cnt;	/* memory backends */
};

/* pt_arrival_open: the path stays the caller's.  Errors as pt_qemu_open,
 * pt_qemu_dest_check, pt_qemu_describe, pt_sink_open_guest, pt_collapser_open,
 * pt_marker_open, pt_postcopy_open. */
int pt_arrival_open(struct pt_arrival *a, const char *qmp, pid_t pid,
		    struct pt_arrival_with with, struct pt_error *err);

/* pt_arrival_serve begins to answer the faults of a guest that runs already; once
 * privileges are given up.  -EAGAIN: no thread. */
int pt_arrival_serve(struct pt_arrival *a, struct pt_error *err);

/* pt_arrival_lacks_none: a guest that runs already, and of which all has come; serve then
 * makes ordinary memory of it, and its sender may come, and need not.  pt_arrival_is_whole:
 * that was done. */
bool pt_arrival_lacks_none(const struct pt_arrival *a);
bool pt_arrival_is_whole(const struct pt_arrival *a);

/* pt_arrival_left returns what is to be done about a QEMU whose guest did not
 * arrive, after a receiver's failure (-errno); "": nothing.  If QEMU may be the
 * cause it waits up to a second for its end. */
const char *pt_arrival_left(const struct pt_arrival *a, int failure);

/* pt_arrival_report adds "postcopy" to a receiver's report, if the guest may run before
 * its memory is whole. */
void pt_arrival_report(const struct pt_arrival *a, json_t *to);

void pt_arrival_close(struct pt_arrival *a);	/* not open: nothing */

#endif
