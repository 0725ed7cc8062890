/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_files: sends the small opaque files that accompany a memory, over the
 * control channel.
 *
 *     open --> start --> result, result, ... --> stop --> close
 *
 * A thread of its own reads and sends them, under the rate limit that it shares
 * with the lanes.  It queues only few bytes, so that other messages do not wait
 * behind files, and it waits without a deadline for a receiver that does not
 * read, since control has that deadline.  Threads: its own; control calls all
 * functions.
 */
#ifndef SEND_SEND_FILES_H
#define SEND_SEND_FILES_H

#include "channel/conn.h"
#include "lane/pacer.h"

struct pt_send_files;

/* pt_send_part: a small file that is sz bytes of another one, from off on. */
struct pt_send_part {
	const char *path;	/* of the other */
	const char *name;	/* pt_name_file_fault has no fault */
	__u64 off, sz;
};

struct pt_send_files_cfg {	/* everything outlives stop */
	struct pt_conn *conn;
	struct pt_pacer *pacer;
	int wake_fd;		/* eventfd, written when a result is ready */
};

/* pt_send_files_open opens the regular files at paths, and the parts, before
 * privileges are dropped, and notes the files' sizes, which are the sizes that are
 * sent.  A file whose size is told as at most 4096 bytes is read now: in /proc and
 * /sys the size is not true.  Paths and parts must stay.  On success returns 0 and
 * *out is the caller's, to pt_send_files_close.
 *   -EINVAL        not a regular file
 *   -EFBIG         more than 64 MiB, in spite of its size
 *   -ENAMETOOLONG  its name is over 255 bytes
 *   or as open(2) says */
int pt_send_files_open(struct pt_send_files **out, const char *const *paths,
		       __u32 cnt, const struct pt_send_part *parts,
		       __u32 part_cnt, struct pt_error *err);
void pt_send_files_close(struct pt_send_files *files);	/* NULL is allowed */

/* pt_send_files_start starts the thread, which sends each file under the last
 * part of its path, and each part under its name.  -EAGAIN: no thread could be started. */
int pt_send_files_start(struct pt_send_files *files,
			const struct pt_send_files_cfg *cfg,
			struct pt_error *err);

/* pt_send_files_result returns 1 if all files are sent or queued, 0: not yet;
 *   -EIO    a file became shorter meanwhile
 *   or as read(2), pt_conn_send */
int pt_send_files_result(const struct pt_send_files *files,
			 struct pt_error *err);

/* pt_send_files_alone notes whether no lane has anything to send; the initial
 * value is false. */
void pt_send_files_alone(struct pt_send_files *files, bool is_alone);

/* These return the bytes of all files, and the bytes sent.  NULL: 0. */
__u64 pt_send_files_total_sz(const struct pt_send_files *files);
__u64 pt_send_files_sent_sz(const struct pt_send_files *files);

/* pt_send_files_cancel has the thread end within 20 ms, unless it waits for a
 * file's storage.  pt_send_files_stop also waits for that.  All three allow
 * NULL. */
void pt_send_files_cancel(struct pt_send_files *files);
bool pt_send_files_has_ended(const struct pt_send_files *files);
void pt_send_files_stop(struct pt_send_files *files);

#endif
