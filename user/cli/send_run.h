/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_run: drives a sender until its end, and reports; for the commands that
 * send.  Threads: one. */
#ifndef CLI_SEND_RUN_H
#define CLI_SEND_RUN_H

#include "cli/agent.h"
#include "cli/privilege.h"
#include "cli/send_control.h"
#include "send/sender.h"

/* pt_send_run: the caller sets the fields before sender, and the rest is 0. */
struct pt_send_run {
	const char *command;
	const struct pt_agent *agent;
	const char *control_path;	/* of the control socket; NULL: in the
					 * folder */
	const char *name;		/* for 'pagetrim ctl NAME'; NULL: none */
	int stop_fd;			/* of pt_stop_open */
	bool tells_events;		/* with json, the report is the last one */
	/* guest_left returns the guest's state here after the result ret, for
	 * the record; NULL: no guest is moved. */
	const char *(*guest_left)(const struct pt_send_run *s, int ret);
	const struct pt_source_left *left;	/* of a process; NULL: none */
	struct pt_sender *sender;
	bool is_open;			/* it was: there is a report */
	struct pt_control at;
	struct pt_send_control control;
	struct pt_send_report report;
	struct pt_error err;		/* of the failure */
	__u64 shown_ns;
};

/* pt_send_run opens, runs and closes a sender; it keeps the capabilities keep.
 * It returns 0 once all is committed, or -errno; or ends the process, if the
 * kernel holds a thread up. */
int pt_send_run(struct pt_send_run *s, const struct pt_sender_cfg *cfg,
		__u64 keep);

/* pt_send_run_tell reports the result ret, and returns the exit code. */
int pt_send_run_tell(const struct pt_send_run *s, int ret);

/* pt_send_run_warn logs a warning: warn of the sender's cfg. */
void pt_send_run_warn(const char *text, void *arg);

#endif
