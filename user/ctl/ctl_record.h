/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ctl_record: the last answer of a process, for requests after its end.
 *
 * PATH.last, beside the control socket PATH: one line, mode 0600, which begins with
 * PT_CTL_RECORD_BEGIN.  It stays when the process ends or is killed, until another
 * takes PATH.  PATH.last.new is one that is being written.  A file of these names
 * that is neither empty nor such a record is another's: it stays.  A call may wait
 * for the storage.  Threads: one at a time.
 */
#ifndef CTL_CTL_RECORD_H
#define CTL_CTL_RECORD_H

#include "ctl/ctl.h"

#define PT_CTL_RECORD_BEGIN	"{\"role\":"

/* pt_ctl_record_write replaces the record as a whole; text is one line without
 * its newline.  -EEXIST: another's file has the name; -ENAMETOOLONG: path is no
 * path of a socket; -EACCES, -ENOSPC, ...  as open(2) and write(2) say. */
int pt_ctl_record_write(const char *path, const char *text);

/* pt_ctl_record_clear removes it: there is none from now on.  The calls on path
 * that follow tell of a path that cannot be.
 *   -EEXIST             another's file has the name
 *   -EACCES, -EPERM, ...  as unlink(2) says: it is still there */
int pt_ctl_record_clear(const char *path, struct pt_error *err);

/* pt_ctl_record_read: -ENOENT: there is none; -EPERM: its owner is not the user,
 * nor root, nor the owner of its folder, or others may read it, so anybody may have
 * made it; -EPROTO: it is no line of at most PT_CTL_ANSWER_SZ bytes. */
int pt_ctl_record_read(const char *path, char answer[PT_CTL_ANSWER_SZ]);

#endif
