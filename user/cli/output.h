/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* output: the few ways in which the command line speaks.
 *
 * Until pt_out_start the caller writes.  From then on scribes write, and nobody
 * waits for a stream that takes nothing: lines and reports that find no room in
 * the queue are dropped, and the log has their number. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>
#include <pagetrim/error.h>

/* pt_out_fail prints "pagetrim COMMAND: TEXT" on stderr; returns err->exit. */
int pt_out_fail(const char *command, const struct pt_error *err);

/* pt_out_usage prints the complaint, what is no clean text in it as "?", and
 * where to find help on stderr;
 * returns PT_EXIT_USAGE. */
__attribute__((format(printf, 2, 3)))
int pt_out_usage(const char *command, const char *fmt, ...);

/* pt_out_log prints one line with an ISO 8601 UTC time stamp on stderr. */
__attribute__((format(printf, 1, 2)))
void pt_out_log(const char *fmt, ...);

/* pt_out_whole prints on stdout what print writes to out, all of it or nothing
 * once scribes run. */
void pt_out_whole(void (*print)(FILE *out, const void *arg), const void *arg);

/* pt_out_json prints the object and a newline on stdout and releases it. */
void pt_out_json(json_t *object);

/* pt_out_human writes bytes as "1.5 GiB" into text (at least 16 bytes). */
const char *pt_out_human(__u64 sz, char text[16]);

/* pt_out_progress redraws one status line when stderr is a terminal; an
 * empty line ends it.  Not a terminal: prints nothing. */
__attribute__((format(printf, 1, 2)))
void pt_out_progress(const char *fmt, ...);

/* pt_out_start hands the streams to scribes.  To be called once privileges
 * are given up, for it starts threads.  Exit code 3 and -errno in err. */
int pt_out_start(struct pt_error *err);

/* pt_out_close writes what is queued, for a second at most, and complains if
 * stdout could not be written.  Returns whether it was.  The last call. */
bool pt_out_close(const char *command);

/* pt_out_number reads a whole number within [min, max] from text; false when
 * it is none.  A suffix K, M, G, T (1024-based) is taken when suffix is set. */
bool pt_out_number(const char *text, __u64 min, __u64 max, bool suffix,
		   __u64 *out);

#endif
