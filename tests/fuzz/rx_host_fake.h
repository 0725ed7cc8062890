/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_host_fake: receive/rx_host.h without device, program and queues: it
 * records whether a session is added, and checks that it is added and removed
 * once. */
#ifndef FUZZ_RX_HOST_FAKE_H
#define FUZZ_RX_HOST_FAKE_H

#include <errno.h>
#include <string.h>

#include <pagetrim/check.h>
#include "receive/rx_host.h"

static struct pt_intake *rx_host_intake;

__u16 pt_rx_queue_number(const struct pt_rx_queue *q)
{
	(void)q;
	return 0;
}

void pt_rx_host_session_lock(struct pt_rx_host *h,
			     const struct pt_intake *intake)
{
	(void)h;
	pt_check(intake == rx_host_intake);
}

void pt_rx_host_session_unlock(struct pt_rx_host *h,
			       const struct pt_intake *intake)
{
	(void)h;
	pt_check(intake == rx_host_intake);
}

int pt_rx_host_claim(struct pt_rx_host *h, __u64 memory_sz,
		     struct pt_error *err)
{
	if (memory_sz > h->memory_sz_max)
		return pt_error_set(err, PT_EXIT_HOST, -E2BIG, "too much");
	h->memory_sz += memory_sz;
	return 0;
}

void pt_rx_host_unclaim(struct pt_rx_host *h, __u64 memory_sz)
{
	pt_check(memory_sz <= h->memory_sz);
	h->memory_sz -= memory_sz;
}

int pt_rx_host_add(struct pt_rx_host *h, struct pt_intake *intake,
		   struct pt_error *err)
{
	static bool is_busy;

	(void)h;
	(void)err;
	pt_check(!rx_host_intake && intake->session_id);
	is_busy = !is_busy;
	if (is_busy)
		return -EAGAIN;
	rx_host_intake = intake;
	return 0;
}

void pt_rx_host_freeze(struct pt_rx_host *h, struct pt_intake *intake)
{
	(void)h;
	pt_check(intake == rx_host_intake);
}

void pt_rx_host_remove(struct pt_rx_host *h, struct pt_intake *intake)
{
	(void)h;
	pt_check(intake == rx_host_intake);
	rx_host_intake = NULL;
}

int pt_rx_host_lane_set(struct pt_rx_host *h, struct pt_intake *intake,
			__u16 lane_idx, __u16 queue)
{
	(void)h;
	pt_check(intake == rx_host_intake && lane_idx < intake->lane_cnt);
	intake->lanes[lane_idx].queue = queue;
	return queue ? -ENOENT : 0;
}

void pt_rx_host_sockets(const struct pt_rx_host *h, __u16 queues[PT_LANES_MAX],
			bool zero_copy[PT_LANES_MAX])
{
	(void)h;
	memset(queues, 0, PT_LANES_MAX * sizeof(*queues));
	memset(zero_copy, 0, PT_LANES_MAX * sizeof(*zero_copy));
}

void pt_rx_host_profile(const struct pt_rx_host *h, struct pt_profile *out)
{
	(void)h;
	memset(out, 0, sizeof(*out));
}

void pt_rx_host_lane_sync(struct pt_rx_host *h, struct pt_intake *intake,
			  __u16 lane_idx, __u64 seq_end)
{
	(void)h;
	pt_check(intake == rx_host_intake && lane_idx < intake->lane_cnt);
	pt_rx_lane_sync(&intake->lanes[lane_idx], seq_end, 0);
}

__u64 pt_rx_host_stragglers_ns(struct pt_rx_host *h,
			       const struct pt_intake *intake)
{
	(void)h;
	pt_check(intake == rx_host_intake);
	return 0;
}

bool pt_rx_host_ledger(struct pt_rx_host *h, struct pt_intake *intake,
		       struct pt_ledger *ledger)
{
	(void)h;
	pt_check(intake == rx_host_intake);
	pt_intake_ledger(intake, ledger);
	return true;
}

int pt_program_session_counters(const struct pt_program *p, __u64 session_id,
				struct pt_counters *c)
{
	(void)p;
	pt_check(session_id == rx_host_intake->session_id);
	memset(c, 0, sizeof(*c));
	return 0;
}

#endif
