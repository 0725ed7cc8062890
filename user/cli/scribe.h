/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* scribe: writes text to descriptors in a thread of its own, so that no other
 * thread waits for a blocked pipe or a file system that hangs.
 *
 *     any thread --pt_scribe_put--> queue of PT_SCRIBE_SZ --thread--> write(2)
 *
 * One queue serves all descriptors: texts are written in the order in which
 * they were put, so a blocked descriptor holds up the others too.  A text is
 * queued whole or dropped whole; the next text that fits is preceded by a note
 * of how many were dropped.
 *
 * Threads: any thread may put; one opens and closes.  The lock is held only for
 * a copy in memory.  The scribe's thread blocks all signals.
 */
#ifndef CLI_SCRIBE_H
#define CLI_SCRIBE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define PT_SCRIBE_SZ		(512 << 10)	/* bytes; each text takes 8
						 * more */
#define PT_SCRIBE_NOTE_SZ	160

struct pt_scribe;

struct pt_scribe_cfg {
	int note_fd;	/* the notes go there */
	/* note writes one line about dropped_cnt texts, in snprintf's way; 0:
	 * none.  Called under the scribe's lock. */
	int (*note)(char *line, size_t sz, __u64 dropped_cnt);
};

/* pt_scribe_open starts the thread.  On success returns 0 and *out is the
 * caller's, to pt_scribe_close.  On failure returns -errno. */
int pt_scribe_open(struct pt_scribe **out, const struct pt_scribe_cfg *cfg);

/* pt_scribe_put queues a copy of the text for fd, or drops and counts it. */
void pt_scribe_put(struct pt_scribe *s, int fd, const void *text, size_t sz);

/* pt_scribe_is_idle: all queued texts are written. */
bool pt_scribe_is_idle(struct pt_scribe *s);

/* pt_scribe_wait waits until it is idle, at most timeout_ms; returns whether it
 * is. */
bool pt_scribe_wait(struct pt_scribe *s, int timeout_ms);

/* pt_scribe_failure returns errno of the last write to fd, 0..2, that failed, so
 * that its text is lost; 0: none. */
int pt_scribe_failure(struct pt_scribe *s, int fd);

/* pt_scribe_close waits as pt_scribe_wait does, writes a pending note and ends
 * the thread.  False: text is left unwritten; the thread, which still waits in
 * write(2), frees the scribe if that returns.  Either way it must not be used
 * again. */
bool pt_scribe_close(struct pt_scribe *s, int timeout_ms);

#endif
