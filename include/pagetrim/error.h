/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* error: an error for people in one line: operand, cause, remedy.  The library
 * fills it and prints nothing; the command line prints it. */
#ifndef PAGETRIM_ERROR_H
#define PAGETRIM_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* pt_exit: the exit codes of all subcommands, which ABORT carries, too. */
enum pt_exit {
	PT_EXIT_OK	 = 0,	/* done */
	PT_EXIT_FAILED	 = 1,	/* failed; nothing was committed */
	PT_EXIT_USAGE	 = 2,	/* wrong options */
	PT_EXIT_HOST	 = 3,	/* this host lacks something: device, queue,
				 * privilege, kernel, source, sink */
	PT_EXIT_PEER	 = 4,	/* peer absent, silent, of another version,
				 * not pagetrim, or it gave up */
	PT_EXIT_MISMATCH = 5,	/* the copy differs from the source, or the
				 * ledger does not balance */
	PT_EXIT_UNKNOWN	 = 6,	/* outcome unknown: ask the receiver */
};

/* pt_exit_of_peer returns our exit code for the peer's code in ABORT: codes
 * that concern both ends stay, others become PT_EXIT_PEER. */
static inline enum pt_exit pt_exit_of_peer(unsigned exit)
{
	return exit == PT_EXIT_MISMATCH || exit == PT_EXIT_UNKNOWN
		? (enum pt_exit)exit : PT_EXIT_PEER;
}

struct pt_error {
	enum pt_exit exit;
	char text[512];		/* "eth0 queue 3: taken by pid 71 (use ...)" */
	unsigned int hint_at;	/* bytes into text, where "(use ...)" begins;
				 * 0: there is no hint */
};

/* pt_error_set fills err (which may be NULL) and returns code, so that a
 * failing function can end with `return pt_error_set(err, ..., -EBUSY, ...)`.
 * A text in parentheses at the end of fmt or of its last operand is the hint.
 * fmt names an option as {zero-copy}, see base/option_names.h, and as
 * {--zero-copy} in a command that the reader is to type; {mtu auto} asks for the
 * default where that is auto, for a field 0.  An operand is printed as
 * it is, since it may be a path of the user's or a text of the peer's. */
__attribute__((format(printf, 4, 5))) int
pt_error_set(struct pt_error *err, enum pt_exit exit, int code,
	     const char *fmt, ...);

/* pt_error_print and pt_error_vprint print a part of an error's text by the same
 * rule, into sz bytes. */
__attribute__((format(printf, 3, 4)))
void pt_error_print(char *text, size_t sz, const char *fmt, ...);
__attribute__((format(printf, 3, 0)))
void pt_error_vprint(char *text, size_t sz, const char *fmt, va_list args);

#define PT_ERROR_OWN_SZ	256

/* pt_error_own writes text, a literal of our own, into to with its options named,
 * and returns to: for an operand that is ours.  A longer text is cut. */
const char *pt_error_own(char to[PT_ERROR_OWN_SZ], const char *text);

/* pt_error_with_dashes chooses how texts name an option from now on: as on the
 * command line, "--zero-copy", or as a field, "zero_copy", the default.  It
 * must be called before the first thread starts. */
void pt_error_with_dashes(bool dashes);

#endif
