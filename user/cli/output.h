/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* output: all output functions of the command line.
 *
 * Until pt_out_start the caller itself writes.  From then on scribes write, so
 * no thread waits for a blocked stream: lines and reports that do not fit in
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

/* pt_out_usage prints the error, with unprintable bytes as "?", and a reference
 * to help on stderr; returns PT_EXIT_USAGE. */
__attribute__((format(printf, 2, 3)))
int pt_out_usage(const char *command, const char *fmt, ...);

/* pt_out_place: from now on pt_out_usage puts "PLACE: " before its errors; NULL:
 * no more.  The text stays the caller's. */
void pt_out_place(const char *place);

/* pt_out_log prints one line with an ISO 8601 UTC time stamp on stderr; pt_out_warn
 * one that an operator should see.  If stderr is the journal of systemd, each
 * line begins with its priority, as sd-daemon(3) defines it: <6>, <4>, of
 * pt_out_fail <3>. */
__attribute__((format(printf, 1, 2)))
void pt_out_log(const char *fmt, ...);
__attribute__((format(printf, 1, 2)))
void pt_out_warn(const char *fmt, ...);

/* pt_out_whole prints on stdout the output of print; once scribes run, all of
 * it or nothing. */
void pt_out_whole(void (*print)(FILE *out, const void *arg), const void *arg);

/* pt_out_json prints the object and a newline on stdout and releases it. */
void pt_out_json(json_t *object);

/* pt_out_event prints the object as one line on stdout and releases it. */
void pt_out_event(json_t *object);

/* pt_out_human writes bytes as "1.5 GiB" into text (at least 16 bytes). */
const char *pt_out_human(__u64 sz, char text[16]);

/* pt_out_progress redraws one status line when stderr is a terminal; an empty
 * line ends it.  Without a terminal it prints nothing. */
__attribute__((format(printf, 1, 2)))
void pt_out_progress(const char *fmt, ...);

/* pt_out_start passes the streams to scribes.  It starts threads, so privileges
 * must be dropped before.  Exit code 3 and -errno in err. */
int pt_out_start(struct pt_error *err);

/* pt_out_close writes the queued output, for a second at most, and reports an
 * error if stdout could not be written.  Returns whether it was.  It must be
 * the last call. */
bool pt_out_close(const char *command);

#endif
