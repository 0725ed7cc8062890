/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* limits: what this process may ask of itself. */
#ifndef CLI_LIMITS_H
#define CLI_LIMITS_H

/* pt_limits_raise_files lets the process have as many descriptors as it may:
 * the soft limit is 1024 by custom, too few for the connections of strangers
 * and for files that are held open.  Nothing here uses select(2). */
void pt_limits_raise_files(void);

#endif
