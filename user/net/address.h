/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room net: the path to a peer, as the kernel knows it.
 *
 *   knows         addresses, routes, neighbours, name resolution, path MTU
 *   may use       base
 *   must not know transfers, frames of ours
 */
/* address: an IPv4 or IPv6 address and a port, in one form for both. Pure,
 * except for pt_address_resolve, which may ask the name service. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include <linux/types.h>

#include <pagetrim/error.h>

#define PT_ADDRESSES_MAX	8	/* the most that are taken from a
					 * name */
#define PT_ADDRESS_HOST_SZ	256	/* a host name has at most 253 bytes */
#define PT_ADDRESS_TEXT_SZ	80	/* "[v6%device]:port" and NUL */

struct pt_address {
	__u8	ip[16];		/* IPv6, or IPv4 as ::ffff:a.b.c.d */
	__u16	port;		/* host order; 0: none */
	__u32	scope;		/* ifindex of a link-local address, else 0 */
};

/* pt_address_resolve reads "ADDR", "ADDR:PORT", "V6", "[V6]" or "[V6]:PORT",
 * ADDR an IPv4 address or a host name, V6 with "%DEV" if link-local, and
 * writes up to max (1..PT_ADDRESSES_MAX) addresses to out, the best first.
 * Returns how many, >= 1.  Without a PORT they get default_port.
 *   -EINVAL       not of these forms, or PORT is not 1..65535
 *   -ENOENT       the name resolves to nothing */
int pt_address_resolve(struct pt_address *out, unsigned max, const char *text,
		       __u16 default_port, struct pt_error *err);

/* pt_address_parse returns the first address of pt_address_resolve; 0 or
 * -errno. */
int pt_address_parse(struct pt_address *out, const char *text,
		     __u16 default_port, struct pt_error *err);

/* pt_address_host extracts the host from such a text, without port, brackets
 * and device, as its certificate names it.
 *   -EINVAL       as pt_address_resolve */
int pt_address_host(char host[PT_ADDRESS_HOST_SZ], const char *text,
		    struct pt_error *err);

/* pt_address_print writes "10.0.0.2:16644" or "[fd00::2]:16644", without the
 * brackets and the port when it is 0, and returns buf. */
const char *pt_address_print(const struct pt_address *a,
			     char buf[PT_ADDRESS_TEXT_SZ]);

bool pt_address_is_v4(const struct pt_address *a);
bool pt_address_is_any(const struct pt_address *a);	/* 0.0.0.0 or :: */
bool pt_address_is_link_local(const struct pt_address *a); /* fe80::/10 */
bool pt_address_is_loopback(const struct pt_address *a); /* 127/8 or ::1 */

/* pt_address_to_sockaddr fills sa (AF_INET for IPv4) and returns its bytes. */
socklen_t pt_address_to_sockaddr(const struct pt_address *a,
				 struct sockaddr_storage *sa);

/* pt_address_from_sockaddr returns false if sa is neither AF_INET nor
 * AF_INET6. */
bool pt_address_from_sockaddr(struct pt_address *a,
			      const struct sockaddr_storage *sa);

#endif
