/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ctl_list: the processes of the folder of ctl_folder.h that answer: those that
 * 'pagetrim ctl' lists, and finds by name.  Calls wait up to a second for each
 * process. */
#ifndef CLI_CTL_LIST_H
#define CLI_CTL_LIST_H

#include <stdbool.h>
#include <pagetrim/error.h>
#include "ctl/ctl_folder.h"

/* pt_ctl_list prints them. */
void pt_ctl_list(bool json);

/* pt_ctl_find finds the one process of that number or name; name NULL: the only one
 * that there is.
 *   -ENOENT   there is none
 *   -ENOTUNIQ there are several; err has their numbers */
int pt_ctl_find(struct pt_ctl_entry *found, const char *name,
		struct pt_error *err);

#endif
