/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ask: sends a request to a running sender, at its control socket; the status of one
 * that has ended is its record, see record.h. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <jansson.h>
#include <pagetrim/error.h>
#include "ctl/ctl_folder.h"

/* pt_ask: *answer is the caller's, an object.
 *   -EINVAL  the sender refused; err has its words
 *   -EPERM   of the record, see pt_ctl_record_read
 *   or as pt_ctl_ask */
int pt_ask(json_t **answer, const char *path, const char *request,
	   struct pt_error *err);

/* pt_ask_entry asks the process of an entry, and waits that long; there is no record
 * of one that has ended.  Errors as pt_ask. */
int pt_ask_entry(json_t **answer, const struct pt_ctl_entry *entry,
		 const char *request, int wait_ms, struct pt_error *err);

#endif
