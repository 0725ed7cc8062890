/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_options: the options of `pagetrim send`. */
#ifndef CLI_SEND_OPTIONS_H
#define CLI_SEND_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "cli/agent.h"
#include "cli/leftout.h"
#include "cli/live_options.h"
#include "cli/security.h"
#include "send/sender.h"

#define PT_SEND_FILES_MAX	1024

struct pt_send_options {
	struct pt_sender_cfg cfg;	/* all but source, tls and warn, which
					 * the caller sets */
	const char *control;		/* path of the control socket; NULL:
					 * none */
	const char *files[PT_SEND_FILES_MAX];	/* cfg.file_cnt of them */
	const char *const *sources;	/* paths; none with pid */
	int source_cnt;
	const char *template;		/* NULL: none */
	struct pt_agent agent;
	struct pt_security security;
	pid_t pid;			/* 0: the sources are files */
	bool keep_running;
	struct pt_leftout_options left;	/* with pid */
	enum pt_on_unreadable on_unreadable;	/* DEFAULT: mark, if the memory
						 * changes; else fail */
	bool is_live;
	__u64 room_sz;			/* see pt_source_open_live */
	struct pt_live_options live;	/* of is_live, and of other commands */
};

/* Groups over struct pt_send_options, for all commands that send. */
extern const struct pt_option pt_send_required_options[];
extern const struct pt_option pt_send_common_options[];

/* pt_send_options_parse sets all of o from the arguments behind the command's
 * name, argv[0]; pointers in it refer to argv.  Returns -1 to go on, or an exit
 * code: help or an error was printed. */
int pt_send_options_parse(struct pt_send_options *o, int argc, char **argv);

/* pt_send_options_unreadable tells the opened source what to do with pages that
 * cannot be read; changes: it is memory that changes while it is sent. */
void pt_send_options_unreadable(const struct pt_send_options *o, bool changes);

#endif
