/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stream: how two proxies know each other: by the description of the guest. */
#ifndef PROXY_STREAM_H
#define PROXY_STREAM_H

#include <errno.h>
#include <string.h>

#include <pagetrim/error.h>

#define PT_STREAM_DESCRIPTION	"QEMU stream 1"

/* pt_stream_match: -EPROTO: the sender is no proxy, or of another version. */
static inline int pt_stream_match(const char *theirs, struct pt_error *err)
{
	if (!strcmp(theirs, PT_STREAM_DESCRIPTION))
		return 0;
	return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "a guest is sent, and "
			    "the receiver takes QEMU's own stream alone (use "
			    "pagetrim proxy on both hosts)");
}

#endif
