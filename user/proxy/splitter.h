/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room proxy: QEMU's migration stream, parted into pages and the rest, and put
 * together again.
 *
 *   knows         the sockets of both QEMUs, batches of pages, which bytes wait for
 *                 which pages
 *   may use       base memory sink track qstream
 *   must not know frames, connections, how pages are carried
 */
/* splitter: the source's end of a stream.
 *
 *     open --> accept: QEMU, the head --> begin: a thread
 *         QEMU --> pages --> batch.h --> collect
 *              --> the rest --> *fd of begin     (QEMU <-- back channel <-- *fd)
 *     collect until is_last --> hand_over: the tail flows --> close
 *
 * If the head is not understood, all passes whole, at once.
 *
 * Threads: its own, from begin on.  The others are called by one thread at a time.
 */
#ifndef PROXY_SPLITTER_H
#define PROXY_SPLITTER_H

#include <stdatomic.h>

#include <pagetrim/error.h>
#include "qstream/qstream.h"
#include "track/tracker.h"

struct pt_splitter;

/* pt_splitter_open listens at path, which stays the caller's, until the head has
 * come.  Errors as pt_door_listen. */
int pt_splitter_open(struct pt_splitter **out, const char *path,
		     struct pt_error *err);
void pt_splitter_close(struct pt_splitter *s);	/* NULL is allowed */

/* pt_splitter_accept waits for QEMU and the head of its stream.
 *   -ECANCELED   stop_fd is readable
 *   -ECONNRESET  QEMU ended it
 *   -EOPNOTSUPP  it uses several connections (multifd, postcopy-preempt) */
int pt_splitter_accept(struct pt_splitter *s, int stop_fd,
		       struct pt_error *err);

/* pt_splitter_blocks returns the RAM blocks; their memory is pt_splitter_fd, a file
 * of that size.  If all passes whole, it is one page, of which nothing comes. */
const struct pt_qstream_block *pt_splitter_blocks(const struct pt_splitter *s,
						  __u32 *cnt);
bool pt_splitter_is_whole(const struct pt_splitter *s);
int pt_splitter_fd(const struct pt_splitter *s, __u32 block);

/* The following are for struct pt_live_guest; arg: the splitter. */

int pt_splitter_begin(void *arg, int *fd, struct pt_error *err);
int pt_splitter_collect(void *arg, const struct pt_track_to *to,
			const atomic_bool *is_cancelled, struct pt_error *err);
bool pt_splitter_is_last(void *arg);

/* pt_splitter_failure: only QEMU's here, since of the other host the transfer
 * tells more. */
int pt_splitter_failure(void *arg, struct pt_error *err);

/* 0: both directions have ended; -ETIMEDOUT: not yet; -ECONNRESET, ... */
int pt_splitter_hand_over(void *arg, int timeout_ms, struct pt_error *err);

/* QEMU loses its connection, so that its guest runs on. */
int pt_splitter_drop(void *arg, struct pt_error *err);

#endif
