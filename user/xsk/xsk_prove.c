/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xsk/xsk_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "base/stop.h"

#define PROOF_SZ	60	/* Ethernet bytes, the minimum */
#define PROOF_TYPE	0x88b5	/* IEEE 802: local experiments, on no product */
#define STEP_MS		10

int pt_xsk_tx_prove(struct pt_xsk *x, const __u8 mac[6], int timeout_ms,
		    int stop_fd)
{
	__u64 deadline = pt_deadline_ns(timeout_ms);
	struct ethhdr *frame = pt_xsk_tx_frame(x);
	int ret = 0;

	if (!frame)
		return -ENOBUFS;
	memset(frame, 0, PROOF_SZ);
	memcpy(frame->h_dest, mac, ETH_ALEN);
	memcpy(frame->h_source, mac, ETH_ALEN);
	frame->h_proto = htons(PROOF_TYPE);
	pt_xsk_tx_submit(x, frame, PROOF_SZ);
	/* A card refuses frames for a while after a reset. */
	while (!pt_xsk_tx_is_idle(x)) {
		if (!pt_left_ms(deadline))
			return ret < 0 ? ret : -ETIMEDOUT;
		ret = pt_xsk_tx_kick(x);
		if (!pt_xsk_tx_is_idle(x) &&
		    pt_stop_wait(stop_fd, ret ? STEP_MS : 1))
			return -ECANCELED;
	}
	return 0;
}
