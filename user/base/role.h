/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room base: helpers that all rooms need and no library has.
 *
 *   knows         text from strangers, CPUs and threads, signals, stage clocks,
 *                 deadlines of progress
 *   may use       no other
 *   must not know pages, frames, devices, connections
 */
/* role: the two ends of a transfer. */
#ifndef BASE_ROLE_H
#define BASE_ROLE_H

/* Bits, so that a set of roles can be named.  HELLO carries these values. */
enum pt_role {
	PT_ROLE_SENDER	 = 1,
	PT_ROLE_RECEIVER = 2,
};

#endif
