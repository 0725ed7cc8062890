/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_files: the small opaque files that travel with a memory, over the
 * control connection.
 * Threads: control's. */
#ifndef TRANSFER_SEND_FILES_H
#define TRANSFER_SEND_FILES_H

#include "control/conn.h"

struct pt_send_files;

/* pt_send_files_open opens the regular files at paths, which must stay, before
 * privileges are given up; what is sent is what was opened.  On success returns
 * 0 and *out is the caller's, to pt_send_files_close.
 *   -EINVAL        not a regular file
 *   -ENAMETOOLONG  its name is over 255 bytes
 *   or as open(2) says */
int pt_send_files_open(struct pt_send_files **out, const char *const *paths,
		       __u32 cnt, struct pt_error *err);
void pt_send_files_close(struct pt_send_files *files);	/* NULL is fine */

/* pt_send_files sends them, each under the last part of its path, and adds
 * their bytes to *total_sz.
 *   -EIO    a file got shorter meanwhile
 *   or as read(2), pt_conn_send_wait say */
int pt_send_files(struct pt_send_files *files, struct pt_conn *conn,
		  int timeout_ms, __u64 *total_sz, struct pt_error *err);

#endif
