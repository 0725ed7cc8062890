/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room confine: the system calls that this process may make.
 *
 *   knows         their names, libseccomp
 *   may use       base
 *   must not know why a call is made
 */
/* confine: a seccomp filter for this process, and all threads and processes that it
 * starts afterwards, for good.
 *
 *     system call --listed in calls.h--> the kernel
 *                 --not listed---------> EPERM; thread pt-confine: refused()
 *
 * A refused call kills nothing: it fails, as if the caller had no privilege for it.  The
 * calling thread waits until pt-confine has answered.  pt-confine itself has a filter
 * with the same list, which answers by itself, so it never waits for itself.
 *
 * Threads: begin in the only one.  Built without libseccomp it does nothing. */
#ifndef CONFINE_CONFINE_H
#define CONFINE_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

struct pt_confine_cfg {
	bool traces;		/* this process traces others */
	bool serves;		/* it answers the page faults of one, and nothing else */
	/* refused is called at the first refusal of each system call, in pt-confine:
	 * its name, and the thread that made it.  It must make listed calls only. */
	void (*refused)(const char *call, pid_t tid);
};

/* pt_confine_begin installs the filter, and sets no_new_privs.  Returns 1 if refusals
 * cannot be reported, since a filter of the caller's (a container's) reports its own;
 * they still fail.  Exit code 3 and in err:
 *   -EAGAIN, -ENOMEM  no thread, no memory
 *   -EINVAL, ...      the kernel takes no filter */
int pt_confine_begin(const struct pt_confine_cfg *cfg, struct pt_error *err);

/* pt_confine_version returns the version of libseccomp; NULL: built without it. */
const char *pt_confine_version(void);

#endif
