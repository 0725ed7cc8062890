/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* resolve: pt_address_resolve with a deadline and a stop descriptor, since a
 * name service may not answer.  Threads: any.  It starts one for a name, and
 * none for an address. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/address.h"

/* pt_resolve does as pt_address_resolve, and also returns:
 *   -ETIMEDOUT  the name service has not answered by deadline_ns
 *   -ECANCELED  stop_fd (or -1) is readable
 *   -EAGAIN     no thread
 * In the first two cases its thread remains until the name service returns.
 */
int pt_resolve(struct pt_address *out, unsigned max, const char *text,
	       __u16 default_port, __u64 deadline_ns, int stop_fd,
	       struct pt_error *err);

#endif
