/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* local: addresses of this host, for those that listen.  Threads: any. */
#ifndef NET_LOCAL_H
#define NET_LOCAL_H

#include <net/if.h>
#include <stdbool.h>

#include "net/address.h"

/* pt_local_choose reads text as pt_address_resolve does, and chooses the address to
 * listen on: the first of several that device dev has, else the first that is no
 * loopback address.
 *   -EADDRNOTAVAIL  all are loopback addresses, which no other host reaches
 *   or as pt_address_resolve */
int pt_local_choose(struct pt_address *out, const char *text,
		    __u16 default_port, const char *dev, struct pt_error *err);

/* pt_local_device writes the name of the device that has the address; false: none of
 * this network namespace has, or that is not known. */
bool pt_local_device(const struct pt_address *a, char name[IF_NAMESIZE]);

/* pt_local_state: an IPv6 address that was just added is tentative until the
 * kernel has found no other host that has it: for a second or two.  Sockets are
 * bound to it by IPV6_FREEBIND only. */
enum pt_local_state {
	PT_LOCAL_USABLE,	/* or IPv4, or not known */
	PT_LOCAL_TENTATIVE,
	PT_LOCAL_DUPLICATE,	/* another host has it: it stays unusable */
	PT_LOCAL_ABSENT,	/* not of this host */
};

enum pt_local_state pt_local_state(const struct pt_address *a);

/* pt_local_bind binds the socket, also to a tentative address.  -errno as
 * bind(2), or -ENOTUNIQ: a duplicate address. */
int pt_local_bind(int sock, const struct pt_address *a);

#endif
