/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* files: the limits of this process for files and memory, and what helps. */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include <stdbool.h>

/* PT_FILES_FEW: more than the load of a BPF program takes, which takes the most. */
#define PT_FILES_FEW	32

/* pt_files_are_few: fewer than PT_FILES_FEW are left.  A library that fails then may
 * report another errno than EMFILE.  Any thread. */
bool pt_files_are_few(void);

/* pt_files_remedy returns " (raise ulimit -n)" if code is -EMFILE or -ENFILE, else
 * "". */
const char *pt_files_remedy(int code);

/* pt_limit_remedy returns the remedy of either, by code, else "". */
const char *pt_limit_remedy(int code);

/* pt_room_remedy returns what helps where a file cannot grow, by code: -ENOSPC, -EDQUOT
 * or -EFBIG; "" for others. */
const char *pt_room_remedy(int code);

/* pt_memory_is_limited: by ulimit -v.  A library that fails then may report another
 * errno than ENOMEM. */
bool pt_memory_is_limited(void);

/* pt_process_remedy returns what helps where a file of another process in /proc
 * cannot be opened, by code; "" if nothing is known. */
const char *pt_process_remedy(int code);

/* pt_trace_remedy: likewise, where it cannot be traced. */
const char *pt_trace_remedy(void);

#endif
