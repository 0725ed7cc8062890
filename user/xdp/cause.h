/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cause: what libbpf and libxdp would print on stderr, kept for pt_error. */
#ifndef PT_XDP_CAUSE_H
#define PT_XDP_CAUSE_H

/* pt_cause_begin silences both libraries from now on, and forgets what this
 * thread kept. */
void pt_cause_begin(void);

/* pt_cause_text returns the last warning since pt_cause_begin in this thread,
 * one line without its newline; "" if there was none. */
const char *pt_cause_text(void);

#endif
