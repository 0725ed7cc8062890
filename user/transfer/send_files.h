/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_files: the small opaque files that travel with a memory, over the
 * control connection.
 * Threads: control's. */
#ifndef TRANSFER_SEND_FILES_H
#define TRANSFER_SEND_FILES_H

#include "control/conn.h"

/* pt_send_files_check: whether they can be sent, before anything begins.
 *   -EINVAL        not a regular file
 *   -ENAMETOOLONG  its name is over 255 bytes
 *   or as open(2) says */
int pt_send_files_check(const char *const *paths, __u32 cnt,
			struct pt_error *err);

/* pt_send_files sends the regular files at paths, each under the last part of
 * its path, and adds their bytes to *total_sz.
 *   -EIO    a file got shorter or longer meanwhile
 *   or as open(2), read(2), pt_conn_send_wait say */
int pt_send_files(struct pt_conn *conn, const char *const *paths, __u32 cnt,
		  int timeout_ms, __u64 *total_sz, struct pt_error *err);

#endif
