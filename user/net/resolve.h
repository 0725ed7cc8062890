/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* resolve: pt_address_resolve, which may ask a name service that does not answer,
 * within a time, and until somebody says stop.
 * Threads: any; one of its own for a name, none for an address. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/address.h"

/* pt_resolve: as pt_address_resolve, and:
 *   -ETIMEDOUT  the name service has not answered by deadline_ns
 *   -ECANCELED  stop_fd (or -1) is readable
 *   -EAGAIN     no thread
 * In the first two cases its thread is left behind until the name service lets it go.
 */
int pt_resolve(struct pt_address *out, unsigned max, const char *text,
	       __u16 default_port, __u64 deadline_ns, int stop_fd,
	       struct pt_error *err);

#endif
