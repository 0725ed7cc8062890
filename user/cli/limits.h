/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* limits: resource limits that the process raises for itself. */
#ifndef CLI_LIMITS_H
#define CLI_LIMITS_H

/* pt_limits_raise_files raises the soft limit of descriptors to the hard one:
 * the usual 1024 are too few for strangers' connections and open files.  The
 * program does not use select(2). */
void pt_limits_raise_files(void);

#endif
