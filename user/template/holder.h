/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* holder: the process that keeps a template's memory, and does nothing else.
 *
 *     maker --fork--> holder: waits for the maker's word
 *       | "hold" --------> holds until a signal ends it
 *       | ends without ---> ends
 *
 * It is made before the maker has memory or threads of its own, of which the holder
 * would keep a copy: it has some hundred KiB.
 */
#ifndef TEMPLATE_HOLDER_H
#define TEMPLATE_HOLDER_H

#include <sys/types.h>

struct pt_holder {
	pid_t pid;
	int word;		/* write end of the pipe; -1: none */
};

/* pt_holder_start starts a holder of the descriptors memory and lock, by the same
 * numbers as here; it has no other.  In a process without threads.  -errno. */
int pt_holder_start(struct pt_holder *h, int memory, int lock);

/* pt_holder_hold: it stays from now on.  -EPIPE: it has ended. */
int pt_holder_hold(struct pt_holder *h);

/* pt_holder_drop ends one that does not hold yet; a second call does nothing. */
void pt_holder_drop(struct pt_holder *h);

#endif
