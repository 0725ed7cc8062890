/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_files: the small opaque files that travel with a memory, beside it, over the
 * control connection.
 *
 *     open --> start --> result, result, ... --> stop --> close
 *
 * A thread of its own reads and says them, under the limit that it shares with the
 * lanes.  It keeps little queued, so that other messages do not wait behind files, and
 * waits for a receiver that reads nothing as long as control does.
 * Threads: its own; all else by one other, control's.
 */
#ifndef SEND_SEND_FILES_H
#define SEND_SEND_FILES_H

#include "channel/conn.h"
#include "lane/pacer.h"

struct pt_send_files;

struct pt_send_files_cfg {	/* all of it outlives stop */
	struct pt_conn *conn;
	struct pt_pacer *pacer;
	int wake_fd;		/* eventfd: written when there is a result */
};

/* pt_send_files_open opens the regular files at paths, which must stay, before
 * privileges are given up; what is sent is what was opened, as long as it was then.
 * On success returns 0 and *out is the caller's, to pt_send_files_close.
 *   -EINVAL        not a regular file
 *   -ENAMETOOLONG  its name is over 255 bytes
 *   or as open(2) says */
int pt_send_files_open(struct pt_send_files **out, const char *const *paths,
		       __u32 cnt, struct pt_error *err);
void pt_send_files_close(struct pt_send_files *files);	/* NULL is fine */

/* pt_send_files_start begins to send them, each under the last part of its path.
 * -EAGAIN: no thread. */
int pt_send_files_start(struct pt_send_files *files,
			const struct pt_send_files_cfg *cfg,
			struct pt_error *err);

/* pt_send_files_result: 1 all was said, 0 not yet;
 *   -EIO    a file got shorter meanwhile
 *   or as read(2), pt_conn_send say */
int pt_send_files_result(const struct pt_send_files *files,
			 struct pt_error *err);

/* pt_send_files_alone: no lane has anything to send; at first some have. */
void pt_send_files_alone(struct pt_send_files *files, bool is_alone);

/* Bytes of the files, in all and so far.  NULL: 0. */
__u64 pt_send_files_total_sz(const struct pt_send_files *files);
__u64 pt_send_files_sent_sz(const struct pt_send_files *files);

/* pt_send_files_cancel has the thread end, wherever it is; unless a file's storage
 * holds it, within 20 ms.  pt_send_files_stop does, too, and waits until it has.
 * NULL is fine for all three. */
void pt_send_files_cancel(struct pt_send_files *files);
bool pt_send_files_has_ended(const struct pt_send_files *files);
void pt_send_files_stop(struct pt_send_files *files);

#endif
