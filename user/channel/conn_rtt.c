/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The kernel's measurements of a connection's path.  In a file of its own,
 * since <linux/tcp.h> excludes <netinet/tcp.h>, which lacks them. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "channel/conn_io.h"

__u64 pt_conn_rtt_ns(const struct pt_conn *c)
{
	struct tcp_info info;
	socklen_t sz = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(c->sock, IPPROTO_TCP, TCP_INFO, &info, &sz) ||
	    info.tcpi_min_rtt == ~0U)
		return 0;
	return info.tcpi_min_rtt * 1000ULL;
}
