/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* detour: frames for a receiver that come in by another device of its host.
 *
 * No program of ours sees them there, so the kernel has them: it gives them to
 * the UDP socket that this is, which also keeps the kernel from answering them by
 * "port unreachable".  Nothing in them is used but for a message to people: they
 * are not authenticated.
 * Threads: one. */
#ifndef RECEIVE_DETOUR_H
#define RECEIVE_DETOUR_H

#include <net/if.h>

#include "net/address.h"

/* pt_detour_open returns a descriptor, the caller's to close, or -errno as
 * socket(2) and bind(2).  A receiver can do without. */
int pt_detour_open(const struct pt_address *listen);

/* pt_detour_find reads what has come, of any session, at most
 * PT_DETOUR_READ_MAX datagrams, and returns whether there was one of the session; dev is
 * the device that it came in by.  fd -1: none. */
#define PT_DETOUR_READ_MAX	64
bool pt_detour_find(int fd, __u64 session_id, char dev[IF_NAMESIZE]);

#endif
