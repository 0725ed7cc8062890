/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* check: an invariant that only a mistake in pagetrim itself can break.  It is
 * always on, while assert(3) vanishes with NDEBUG. */
#ifndef PAGETRIM_CHECK_H
#define PAGETRIM_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define pt_check(cond)							\
	do {								\
		if (__builtin_expect(!(cond), 0)) {			\
			fprintf(stderr, "pagetrim: bug: %s:%d: %s\n",	\
				__FILE__, __LINE__, #cond);		\
			abort();					\
		}							\
	} while (0)

#endif
