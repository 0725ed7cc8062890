/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* output: the few ways in which the command line speaks. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <linux/types.h>
#include <pagetrim/error.h>

/* pt_out_fail prints "pagetrim COMMAND: TEXT" on stderr; returns err->exit. */
int pt_out_fail(const char *command, const struct pt_error *err);

/* pt_out_usage prints the complaint and where to find help on stderr;
 * returns PT_EXIT_USAGE. */
__attribute__((format(printf, 2, 3)))
int pt_out_usage(const char *command, const char *fmt, ...);

/* pt_out_log prints one line with an ISO 8601 UTC time stamp on stderr. */
__attribute__((format(printf, 1, 2)))
void pt_out_log(const char *fmt, ...);

/* pt_out_json prints the object and a newline on stdout and releases it. */
void pt_out_json(json_t *object);

/* pt_out_human writes bytes as "1.5 GiB" into text (at least 16 bytes). */
const char *pt_out_human(__u64 sz, char text[16]);

/* pt_out_progress redraws one status line when stderr is a terminal; an
 * empty line ends it.  Not a terminal: prints nothing. */
__attribute__((format(printf, 1, 2)))
void pt_out_progress(const char *fmt, ...);

/* pt_out_number reads a whole number within [min, max] from text; false when
 * it is none.  A suffix K, M, G, T (1024-based) is taken when suffix is set. */
bool pt_out_number(const char *text, __u64 min, __u64 max, bool suffix,
		   __u64 *out);

#endif
