/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_process: a process that is sent while it runs.  The live thread stops it
 * for the last round; it runs again once all of that is placed, after a failure,
 * and, by the kernel, after the death of pagetrim. */
#ifndef CLI_SEND_PROCESS_H
#define CLI_SEND_PROCESS_H

#include "cli/send_options.h"

struct pt_send_process {
	struct pt_send_run *run;
	struct pt_source *source;
};

/* pt_send_process_open opens process o->pid as the source of o->cfg, and completes
 * o->live, whose rounds run reports.  *p, run and o outlive the sender. */
int pt_send_process_open(struct pt_send_process *p, struct pt_send_options *o,
			 struct pt_send_run *run, struct pt_error *err);

/* pt_send_process_caps returns the capabilities that the sender keeps, to stop the
 * process and to track its writes. */
__u64 pt_send_process_caps(void);

#endif
