/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* detour: finds frames for a receiver that arrive at another device of its
 * host.
 *
 * No program of ours sees them there, so the kernel gives them to this UDP
 * socket, which also keeps the kernel from answering them by "port
 * unreachable".  They are not authenticated, and are only reported in a
 * message.  Threads: one. */
#ifndef RECEIVE_DETOUR_H
#define RECEIVE_DETOUR_H

#include <net/if.h>

#include "net/address.h"

/* pt_detour_open returns a descriptor, which the caller closes, or -errno as
 * socket(2) and bind(2).  A receiver works without it. */
int pt_detour_open(const struct pt_address *listen);

/* pt_detour_find reads the datagrams of any session, at most
 * PT_DETOUR_READ_MAX, and returns whether one was of the session; dev is its
 * device.  fd -1: none. */
#define PT_DETOUR_READ_MAX	64
bool pt_detour_find(int fd, __u64 session_id, char dev[IF_NAMESIZE]);

#endif
