/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guest: the guest that waits for its memory, as a receiver needs it.
 *
 *     match --> begin --> (stream of device state) --> loaded --> sink's commit
 *
 * The memory is the receiver's sink (sink_guest.h); the commit of that sink runs
 * the guest.
 *
 * Threads: match is called by control and must not block; the others by a
 * thread of the session, one after another.
 */
#ifndef RECEIVE_GUEST_H
#define RECEIVE_GUEST_H

#include <stdbool.h>

#include <pagetrim/error.h>

struct pt_receive_guest {
	const char *name;	/* where the memory goes, for reports and texts,
				 * e.g. the path of a monitor's socket */
	bool is_stream;		/* the bytes through begin's *fd are of any
				 * number, and begin before the memory */
	/* match compares the guest with the description of the sender's, text
	 * that is not trusted.  -errno: they differ, err tells where. */
	int (*match)(void *arg, const char *theirs, struct pt_error *err);
	/* begin readies the guest to load.  *fd, a stream socket for the device
	 * state, both ways, is the receiver's, which closes it at the end. */
	int (*begin)(void *arg, int *fd, struct pt_error *err);
	/* loaded waits, for a time that it limits, until the guest has loaded
	 * all of its state. */
	int (*loaded)(void *arg, struct pt_error *err);
	void *arg;
};

#endif
