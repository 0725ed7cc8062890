/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guard_again: cmocka handles SIGBUS itself from the start of each test; a test
 * that faults inside of a pt_guard calls this first. */
#ifndef TEST_GUARD_AGAIN_H
#define TEST_GUARD_AGAIN_H

#include <signal.h>
#include "memory/guard.h"

static inline void guard_again(void)
{
	static struct sigaction ours;
	static int is_known;
	struct pt_guard guard;

	if (is_known) {
		sigaction(SIGBUS, &ours, NULL);
		return;
	}
	if (!pt_guard_enter(&guard))	/* the first enter installs it */
		pt_guard_leave(&guard);
	sigaction(SIGBUS, NULL, &ours);
	is_known = 1;
}

#endif
