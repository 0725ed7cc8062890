/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* receive_run: drives a receiver until its end, and reports; for the commands that
 * receive.  Threads: one. */
#ifndef CLI_RECEIVE_RUN_H
#define CLI_RECEIVE_RUN_H

#include "cli/agent.h"
#include "cli/arrival.h"
#include "cli/receive_control.h"
#include "cli/security.h"
#include "proxy/joiner.h"
#include "receive/receiver.h"
#include "service/notify.h"
#include "service/reload.h"

/* pt_receive_run: the options are set by the caller, and the rest is 0. */
struct pt_receive_run {
	const char *command;
	struct pt_receiver_cfg cfg;
	struct pt_agent agent;
	struct pt_security security;
	const char *qmp;		/* the monitor of QEMU; NULL: an image
					 * is received */
	const char *template;		/* NULL: none is made */
	bool serve_faults;		/* a guest may run before its memory is
					 * whole */
	__u32 pid;			/* of QEMU; 0: that of the monitor */
	const char *control_path;	/* of the control socket; NULL: in the
					 * folder */
	const char *peers_path;		/* NULL: any sender is taken */
	struct pt_peers *peers;
	bool drain;			/* the first signal drains */
	const char *into;		/* instead: the socket at which a QEMU
					 * waits for its own stream */

	__u64 stranger_time;		/* the second that stranger_cnt
					 * counts */
	unsigned stranger_cnt;		/* strangers refused in that second */
	bool had_transfer;		/* at least one */
	bool has_drained;		/* the log says so */
	struct pt_control at;
	struct pt_receive_control control;
	struct pt_arrival arrival;
	struct pt_joiner *joiner;
	struct pt_receive_guest joined;
	struct pt_template_make *making;	/* with template */
	struct pt_receiver *receiver;
	struct pt_reload *reload;	/* with serve and keys; else NULL */
	__u64 expiry_ns;		/* when the certificate is looked at next */
	bool is_expired;		/* the log says so */
	struct pt_notify *notify;	/* the init system; NULL: it has no
					 * wish */
	char listen[PT_ADDRESS_TEXT_SZ];	/* of pt_receiver_info */
	__u64 completed_cnt, failed_cnt;	/* transfers that have ended */
	bool is_abandoned;		/* threads of the receiver still run */
};

/* pt_receive_run returns the exit code. */
int pt_receive_run(struct pt_receive_run *rx);

#endif
