/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* keeper: a small process that holds the userfaultfd and the record of a guest, and
 * outlives the server.
 *
 * When the last descriptor of a userfaultfd closes, the kernel answers every fault with
 * a zero page.  So one more stays open until all is placed:
 *
 *     server --fork--> keeper, at the socket PATH
 *        |  connection    |
 *        X  killed        |  the guest waits in its faults
 *     next server ------> |  connects, and gets the descriptors
 *        '--"all placed"->'  ends
 *
 * It ends, too, when the VMM has.  With a fault timeout it ends the VMM (SIGKILL) if a
 * fault was not answered for so long, with a server or without.  It ignores the signals
 * by which services are stopped.
 *
 * Threads: one, and no memory is allocated after the fork.
 */
#ifndef LAZY_KEEPER_H
#define LAZY_KEEPER_H

#include <sys/types.h>

#include "lazy/record.h"

/* pt_lazy_kept: the descriptors that a keeper holds. */
struct pt_lazy_kept {
	int uffd, record_fd;
	int pidfd;		/* of the VMM; -1: it is not known */
};

/* pt_lazy_keeper_join gets the descriptors from the keeper at path, if there is one,
 * and returns the connection, which says that this server lives.
 *   -ENOENT  there is none
 *   -EBUSY   another server serves the guest
 *   or as the system says */
int pt_lazy_keeper_join(struct pt_lazy_kept *kept, const char *path,
			struct pt_error *err);

/* pt_lazy_keeper_start starts one, and returns the connection.  timeout_ms: of a
 * fault; 0: none.  Errors as pt_lazy_listen, fork(2). */
int pt_lazy_keeper_start(const struct pt_lazy_kept *kept,
			 const struct pt_lazy_record *record, const char *path,
			 __u64 timeout_ms, struct pt_error *err);

/* pt_lazy_keeper_end: all is placed, or the VMM has ended.  It closes the
 * connection. */
void pt_lazy_keeper_end(int connection);

#endif
