/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_host.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "receive/detour.h"

#define PEER_LANES_MAX	192		/* of PT_QUEUE_LANES_MAX, for one peer */

int pt_rx_host_watch(struct pt_rx_host *h, struct pt_error *err)
{
	const char *dev = h->device.name;
	char name[IF_NAMESIZE];
	bool is_attached;

	/* The order matters: a device that is removed loses its name before its
	 * program, so the missing program is not reported as the cause. */
	pt_program_settle(h->program);
	is_attached = pt_program_is_attached(h->program);
	if (!if_indextoname(h->device.ifindex, name))
		return pt_error_set(err, PT_EXIT_HOST, -ENODEV, "%s: was "
				    "removed, or moved to another network "
				    "namespace (start receive again when it is "
				    "back)", dev);
	for (__u32 i = 0; i < h->queue_cnt; i++)
		if (pt_xsk_error(h->xsks[i]))
			return pt_error_set(err, PT_EXIT_HOST, -ENODEV, "%s: "
					    "was removed, or moved to another "
					    "network namespace, and came back, "
					    "without our AF_XDP sockets (start "
					    "receive again)", dev);
	if (!is_attached)
		return pt_error_set(err, PT_EXIT_HOST, -ENODEV, "%s: another "
				    "process detached pagetrim's XDP program "
				    "(find that process, then start receive "
				    "again)", dev);
	return 0;
}

void pt_rx_host_profile(const struct pt_rx_host *h, struct pt_profile *out)
{
	memset(out, 0, sizeof(*out));
	out->thread_cnt = h->queue_cnt;
	for (__u32 i = 0; i < h->queue_cnt; i++)
		pt_stage_look(&h->clocks[i], out->stages);
}

void pt_rx_host_sockets(const struct pt_rx_host *h, __u16 queues[PT_LANES_MAX],
			bool zero_copy[PT_LANES_MAX])
{
	struct pt_xsk_info info;

	for (__u32 i = 0; i < h->queue_cnt; i++) {
		pt_xsk_info(h->xsks[i], &info);
		queues[i] = pt_lease_queue(h->leases[i]);
		zero_copy[i] = info.zero_copy;
	}
}

static bool has_lane_on(const struct pt_intake *intake,
			const struct pt_rx_queue *q)
{
	for (__u16 i = 0; i < intake->lane_cnt; i++)
		if (intake->lanes[i].queue == pt_rx_queue_number(q))
			return true;
	return false;
}

void pt_rx_host_session_lock(struct pt_rx_host *h,
			     const struct pt_intake *intake)
{
	for (__u32 i = 0; i < h->queue_cnt; i++)
		if (has_lane_on(intake, h->queues[i]))
			pt_rx_queue_lock(h->queues[i]);
}

void pt_rx_host_session_unlock(struct pt_rx_host *h,
			       const struct pt_intake *intake)
{
	for (__u32 i = h->queue_cnt; i-- > 0; )
		if (has_lane_on(intake, h->queues[i]))
			pt_rx_queue_unlock(h->queues[i]);
}

static __u64 sockets_dropped(const struct pt_rx_host *h)
{
	struct pt_xsk_stats stats;
	__u64 sum = 0;

	for (__u32 i = 0; i < h->queue_cnt; i++)
		if (!pt_xsk_stats(h->xsks[i], &stats))
			sum += pt_xsk_dropped(&stats);
	return sum;
}

int pt_rx_host_claim(struct pt_rx_host *h, __u64 memory_sz,
		     struct pt_error *err)
{
	if (memory_sz > h->memory_sz_max - h->memory_sz)
		return pt_error_set(err, PT_EXIT_HOST, -E2BIG, "the sender "
				    "announced %llu bytes of memory, but only "
				    "%llu of %llu are left (receive "
				    "{max-memory})",
				    memory_sz, h->memory_sz_max - h->memory_sz,
				    h->memory_sz_max);
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
	struct pt_session session = {
		.endpoint = intake->endpoint,
		.lane_cnt = intake->lane_cnt,
		.is_sealed = intake->is_sealed,
	};
	int ret;

	if (intake->is_sealed)
		pt_siphash_key(session.header_key, intake->header_key);

	for (__u32 i = 0; i < PT_LANES_MAX; i++)
		session.lane_queue[i] = PT_QUEUE_ANY;
	if (h->session_cnt == PT_TRANSFERS_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -ENOSPC,
				    "%u transfers are running already (wait "
				    "for one to end)", PT_TRANSFERS_MAX);
	intake->dropped_before = sockets_dropped(h);
	ret = pt_program_session_add(h->program, intake->session_id, &session,
				     err);
	if (ret)
		return ret;
	intake->was_shared = h->session_cnt > 0;
	for (__u32 i = 0; i < h->session_cnt; i++)
		h->sessions[i]->was_shared = true;
	h->sessions[h->session_cnt++] = intake;
	for (__u32 i = 0; !ret && i < h->queue_cnt; i++) {
		pt_rx_queue_lock(h->queues[i]);
		ret = pt_rx_queue_session_add(h->queues[i], intake);
		pt_rx_queue_unlock(h->queues[i]);
	}
	if (ret)
		pt_rx_host_remove(h, intake);
	return ret;
}

void pt_rx_host_freeze(struct pt_rx_host *h, struct pt_intake *intake)
{
	pt_program_session_close(h->program, intake->session_id);
}

static struct pt_rx_queue *find_queue(struct pt_rx_host *h, __u16 queue)
{
	for (__u32 i = 0; i < h->queue_cnt; i++)
		if (pt_rx_queue_number(h->queues[i]) == queue)
			return h->queues[i];
	return NULL;
}

static void lane_remove(struct pt_rx_host *h, struct pt_rx_lane *lane)
{
	struct pt_rx_queue *q = find_queue(h, lane->queue);

	if (!q)
		return;
	pt_rx_queue_lock(q);
	pt_rx_queue_lane_remove(q, lane);
	pt_rx_queue_unlock(q);
}

void pt_rx_host_remove(struct pt_rx_host *h, struct pt_intake *intake)
{
	pt_program_session_remove(h->program, intake->session_id);
	for (__u32 i = 0; i < intake->lane_cnt; i++)
		lane_remove(h, &intake->lanes[i]);
	for (__u32 i = 0; i < h->queue_cnt; i++) {
		pt_rx_queue_lock(h->queues[i]);
		pt_rx_queue_session_remove(h->queues[i], intake);
		pt_rx_queue_unlock(h->queues[i]);
	}
	for (__u32 i = 0; i < h->session_cnt; i++) {
		if (h->sessions[i] != intake)
			continue;
		h->sessions[i] = h->sessions[--h->session_cnt];
		break;
	}
	pt_intake_stop(intake);
}

int pt_rx_host_lane_set(struct pt_rx_host *h, struct pt_intake *intake,
			__u16 lane_idx, __u16 queue)
{
	struct pt_rx_lane *lane = &intake->lanes[lane_idx];
	struct pt_rx_queue *q = find_queue(h, queue);
	int ret;

	if (!q)
		return -ENOENT;
	lane_remove(h, lane);
	if (pt_admission_lane_cnt(intake, h->sessions, h->session_cnt, queue) >=
	    PEER_LANES_MAX)
		return -ENOSPC;
	pt_rx_queue_lock(q);
	ret = pt_rx_queue_lane_add(q, lane);
	pt_rx_queue_unlock(q);
	return ret ? ret : pt_program_lane_queue(h->program,
						 intake->session_id, lane_idx,
						 queue);
}

void pt_rx_host_lane_sync(struct pt_rx_host *h, struct pt_intake *intake,
			  __u16 lane_idx, __u64 seq_end)
{
	struct pt_rx_lane *lane = &intake->lanes[lane_idx];
	struct pt_rx_queue *q = find_queue(h, lane->queue);

	if (!q)
		return;
	pt_rx_queue_lock(q);
	pt_rx_lane_sync(lane, seq_end, pt_clock_ns());
	pt_rx_queue_unlock(q);
	pt_rx_queue_wake(q);
}

__u64 pt_rx_host_stragglers_ns(struct pt_rx_host *h,
			       const struct pt_intake *intake)
{
	__u64 ns = 2 * atomic_load(&intake->reorder_min_ns), window_ns;
	struct pt_ledger ledger;

	pt_rx_host_session_lock(h, intake);
	pt_intake_ledger(intake, &ledger);
	window_ns = pt_intake_window_ns(intake);
	pt_rx_host_session_unlock(h, intake);
	if (!ledger.duplicate && !ledger.late && !ledger.missing)
		return 0;
	return ns > window_ns ? ns : window_ns;
}

static __u64 verdict_sum(const struct pt_counters *c)
{
	__u64 sum = 0;

#define X(SYMBOL, name, text) sum += c->name;
	PT_VERDICTS(X)
#undef X
	return sum;
}

static __u64 distance(__u64 a, __u64 b)
{
	return a > b ? a - b : b - a;
}

/* The following functions read counters one after the other, XDP's last, while
 * frames may still arrive.  The counters agree only when none arrive. */

/* queue_unaccounted returns the frames of a queue, since the start, that no
 * counter explains.  The comparison of steered and received frames requires
 * that no other session has frames in flight. */
static __u64 queue_unaccounted(struct pt_rx_host *h, __u32 i)
{
	struct pt_counters now;
	struct pt_xsk_stats stats;
	__u64 received, steered;
	__u64 lost;

	pt_rx_queue_lock(h->queues[i]);
	received = pt_rx_queue_received(h->queues[i]);
	pt_rx_queue_unlock(h->queues[i]);
	if (pt_program_queue_counters(h->program,
				      pt_rx_queue_number(h->queues[i]), &now) ||
	    pt_xsk_stats(h->xsks[i], &stats))
		return 0;
	lost = distance(now.seen, verdict_sum(&now));
	steered = now.steered - h->before[i].steered;
	if (h->session_cnt == 1)
		lost += distance(steered,
				 received + pt_xsk_dropped(&stats));
	return lost;
}

bool pt_rx_host_ledger(struct pt_rx_host *h, struct pt_intake *intake,
		       struct pt_ledger *ledger)
{
	struct pt_counters c = { 0 };
	__u64 dropped, taken;

	pt_rx_host_session_lock(h, intake);
	pt_intake_ledger(intake, ledger);
	pt_rx_host_session_unlock(h, intake);
	pt_program_session_counters(h->program, intake->session_id, &c);
	ledger->steered = c.steered;
	ledger->xdp_dropped = c.seen - c.steered;
	for (__u32 i = 0; i < h->queue_cnt; i++)
		ledger->queue_unaccounted += queue_unaccounted(h, i);
	/* The sockets' drops are not counted by session.  If other sessions ran
	 * meanwhile, this one is charged for the frames that it lacks, but never
	 * for more than all drops. */
	dropped = sockets_dropped(h) - intake->dropped_before;
	taken = ledger->received + ledger->probes;
	if (intake->was_shared && ledger->steered < taken + dropped)
		dropped = ledger->steered > taken ? ledger->steered - taken : 0;
	ledger->socket_dropped = dropped;
	return ledger->steered == taken + dropped &&
	       !ledger->queue_unaccounted && pt_intake_is_placed(intake);
}
