/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* record: the answer of 'pagetrim ctl' for a process that has ended, see ctl_record.h:
 * its last status, and
 *
 *     result       "completed", "failed" or "unknown"
 *     exit         its exit code, unless it was killed
 *     error-desc   of a failure
 *     guest        the guest's state here, and where it may be continued
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include <jansson.h>
#include <pagetrim/error.h>

/* pt_record_result names the result of a step: 0 or -errno with err. */
const char *pt_record_result(int ret, const struct pt_error *err);

/* pt_record_begin is the first step of a run, so that no earlier run's record is
 * taken for one of this: it refuses a path on which a process listens, and removes
 * the record.  One that cannot be removed is warned of.  path NULL: nothing.
 *   -EADDRINUSE, -ENAMETOOLONG  as pt_ctl_open
 *   -EEXIST  another's file has the record's name */
int pt_record_begin(const char *path, struct pt_error *err);

/* pt_record_end leaves o, the last status, with the end; it releases o.  guest
 * NULL: none is moved. */
void pt_record_end(const char *path, json_t *o, int ret,
		   const struct pt_error *err, const char *guest);

/* pt_record_handing leaves the answer for a process that is killed from now on, while
 * it hands a guest over: the result is unknown.  path NULL: nothing. */
void pt_record_handing(const char *path, const char *role, const char *guest);

#endif
