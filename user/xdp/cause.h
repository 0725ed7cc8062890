/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cause: keeps the warnings of libbpf and libxdp for pt_error, instead of
 * printing them. */
#ifndef XDP_CAUSE_H
#define XDP_CAUSE_H

/* pt_cause_begin discards this thread's warnings.  Outside of hold and release
 * it silences both libraries from now on, for the whole process. */
void pt_cause_begin(void);

/* pt_cause_hold silences both libraries for this thread, until as many calls of
 * pt_cause_release.  Other threads' warnings go to the process's printers,
 * which are restored after the last release of any thread. */
void pt_cause_hold(void);
void pt_cause_release(void);

/* pt_cause_text returns the last warning since pt_cause_begin in this thread,
 * one line without its newline; "" if there was none. */
const char *pt_cause_text(void);

#endif
