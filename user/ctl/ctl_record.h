/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ctl_record: the last answer of a process, for requests after its end.
 *
 * PATH.last, beside the control socket PATH: one line, mode 0600.  It stays when
 * the process ends or is killed, until another takes PATH.  A call may wait for
 * the storage.  Threads: one at a time.
 */
#ifndef CTL_CTL_RECORD_H
#define CTL_CTL_RECORD_H

#include "ctl/ctl.h"

/* pt_ctl_record_write replaces the record as a whole; text is one line without
 * its newline.  -ENAMETOOLONG: path is no path of a socket; -EACCES, -ENOSPC,
 * ...  as open(2) and write(2) say. */
int pt_ctl_record_write(const char *path, const char *text);

/* pt_ctl_record_remove: there is none from now on. */
void pt_ctl_record_remove(const char *path);

/* pt_ctl_record_read: -ENOENT: there is none; -EPROTO: it is no line of at most
 * PT_CTL_ANSWER_SZ bytes. */
int pt_ctl_record_read(const char *path, char answer[PT_CTL_ANSWER_SZ]);

#endif
