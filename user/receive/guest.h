/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guest: the guest that waits for its memory, as a receiver needs it.
 *
 *     match --> begin --> (stream of device state) --> loaded --> sink's commit
 *
 * The memory is the receiver's sink (sink_guest.h); the commit of that sink runs
 * the guest, unless run did.
 *
 * Threads: match is called by control and must not block; the others by a
 * thread of the session, one after another.
 */
#ifndef RECEIVE_GUEST_H
#define RECEIVE_GUEST_H

#include <linux/types.h>
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
	/* A guest that may run before its memory is whole; NULL: it may not.  run runs
	 * the loaded guest, in place of the sink's commit, which then follows once all
	 * has come.  wanted returns up to max pages of the image for which it waits,
	 * ascending; control calls it whenever wake_fd, an eventfd that tell told, was
	 * written. */
	int (*run)(void *arg, struct pt_error *err);
	void (*tell)(void *arg, int wake_fd);
	__u32 (*wanted)(void *arg, __u64 *pages, __u32 max);
	/* running is called before run: from then on the guest is the one of guest_id at
	 * its source.  rest_of, not 0: the guest of that id runs here already, and only
	 * the rest of its memory is taken; match, begin, loaded and running are not called,
	 * run makes sure that it runs, while the rest comes, and lacks returns how many pages of the image, of one memory, lack from the first one
	 * from *page on; 0: none does. */
	void (*running)(void *arg, __u64 guest_id);
	/* wrong: the memory of the guest that runs is not as it was at its source; text
	 * says where. */
	void (*wrong)(void *arg, const char *text);
	__u64 rest_of;
	__u64 (*lacks)(void *arg, __u64 *page);
	void *arg;
};

#endif
