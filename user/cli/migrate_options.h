/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* migrate_options: the options of `pagetrim migrate`. */
#ifndef CLI_MIGRATE_OPTIONS_H
#define CLI_MIGRATE_OPTIONS_H

#include "cli/send_options.h"

struct pt_migrate_options {
	struct pt_send_options send;
	const char *qmp;		/* path of the monitor's socket */
	pid_t pid;			/* of QEMU; 0: the one that listens */
	bool quit_source;
	bool postcopy;
	__u32 postcopy_after;		/* rounds */
};

/* pt_migrate_options_parse is like pt_send_options_parse. */
int pt_migrate_options_parse(struct pt_migrate_options *o, int argc,
			     char **argv);

#endif
