/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stop: SIGINT, SIGTERM and SIGHUP (a terminal that went away; not if it is ignored,
 * as by nohup(1)) as a descriptor that becomes readable. */
#ifndef CLI_STOP_H
#define CLI_STOP_H

/* pt_stop_open blocks these signals, for this thread and those it starts, and
 * returns a descriptor to poll; -1 on failure.  Call it before any thread. */
int pt_stop_open(void);

#endif
