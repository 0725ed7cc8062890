/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_host.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "receive/detour.h"
#include "rxq/credit.h"
#include "session/queues.h"

#define RX_CHUNKS	2048		/* 8 MiB a queue: stays in the cache */
#define PEER_LANES_MAX	192		/* of PT_QUEUE_LANES_MAX, one peer's */
#define RX_CREDIT	1536		/* granted; the rest bears repeats */

static int open_queue(struct pt_rx_host *h, __u32 i,
		      const struct pt_rx_host_cfg *host, struct pt_error *err)
{
	struct pt_xsk_cfg cfg = {
		.device = &h->device,
		.queue = pt_lease_queue(h->leases[i]),
		.rx_chunk_cnt = RX_CHUNKS,
		.hugepages = host->hugepages,
	};
	struct pt_xsk_info info;
	int ret = pt_card_open_socket(&h->card, &h->xsks[i], &cfg, err);

	if (ret)
		return ret;
	pt_xsk_info(h->xsks[i], &info);
	if (!i || info.hugepages != PT_HUGEPAGES_ON)
		h->hugepages = info.hugepages;
	if (!h->desc_sz || info.rx_desc_sz < h->desc_sz)
		h->desc_sz = info.rx_desc_sz;
	if (!h->frame_sz_max || info.rx_frame_sz_max < h->frame_sz_max)
		h->frame_sz_max = info.rx_frame_sz_max;
	pt_program_queue_counters(h->program, cfg.queue, &h->before[i]);
	return pt_program_socket_set(h->program, cfg.queue,
				     pt_xsk_fd(h->xsks[i]), err);
}

static int open_queues(struct pt_rx_host *h, const struct pt_rx_host_cfg *cfg,
		       struct pt_error *err)
{
	for (__u32 i = 0; i < h->queue_cnt; ) {
		int ret = open_queue(h, i, cfg, err);

		if (ret == -EBUSY && cfg->queue_cnt == PT_QUEUES_AUTO &&
		    pt_queues_pass_over(h->leases, &h->queue_cnt, i))
			continue;
		if (ret)
			return ret;
		i++;
	}
	return 0;
}

static int lease_queues(struct pt_rx_host *h, const struct pt_rx_host_cfg *cfg,
			struct pt_error *err)
{
	const struct pt_queues_wish wish = {
		.cnt = cfg->queue_cnt,
		.auto_max = pt_queues_cpu_cnt(),
		.kind = "RX",
		.have_cnt = h->device.rx_queue_cnt,
	};
	__u32 cnt;
	int ret = pt_queues_choose(&cnt, &wish, &h->device, h->device_leases,
				   err);

	if (!ret)
		ret = pt_lease_take_free(h->leases, cnt, h->device_leases,
					 "receive", err);
	if (!ret)
		h->queue_cnt = cnt;
	return ret;
}

int pt_rx_host_open(struct pt_rx_host *h, const struct pt_rx_host_cfg *cfg,
		    struct pt_error *err)
{
	const struct pt_program_cfg program = {
		.device = &h->device,
		.generic = cfg->generic,
	};
	const struct pt_card_cfg card = {
		.wish = cfg->zero_copy,
		.generic = cfg->generic,
		.stop_fd = cfg->stop_fd,
	};
	int ret;

	memset(h, 0, sizeof(*h));
	h->detour_fd = -1;
	ret = pt_device_open(&h->device, cfg->dev, err);
	if (!ret)
		ret = pt_device_check(&h->device, err);
	if (!ret)
		ret = pt_card_judge(&h->card, &h->device, &card, err);
	if (!ret)
		ret = pt_leases_open(&h->device_leases, &h->device, err);
	if (ret)
		return ret;
	ret = lease_queues(h, cfg, err);
	if (ret) {
		pt_leases_close(h->device_leases);
		return ret;
	}
	h->memory_sz_max = cfg->memory_sz_max;
	h->admission.limits = cfg->peer;
	h->profile = cfg->profile;
	h->cpus = cfg->cpus;
	ret = pt_program_open(&h->program, &program, err);
	if (!ret && h->card.zero_copy)
		ret = pt_card_wait(&h->card, err);
	if (!ret)
		ret = open_queues(h, cfg, err);
	if (ret)
		pt_rx_host_free(h);
	return ret;
}

int pt_rx_host_start(struct pt_rx_host *h, struct pt_error *err)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < h->queue_cnt; i++) {
		const struct pt_rx_queue_cfg cfg = {
			.xsk = h->xsks[i],
			.queue = pt_lease_queue(h->leases[i]),
			.desc_sz = h->desc_sz,
			.credit = RX_CREDIT,
			.idle_ns = PT_CREDIT_IDLE_NS,
			.ring_cnt = RX_CHUNKS,
			.cpus = &h->cpus,
			.thread_idx = i,
			.clock = h->profile ? &h->clocks[i] : NULL,
		};

		ret = pt_rx_queue_start(&h->queues[i], &cfg, err);
	}
	return ret;
}

void pt_rx_host_listen(struct pt_rx_host *h, const struct pt_address *listen)
{
	int fd = pt_detour_open(listen);

	h->detour_fd = fd < 0 ? -1 : fd;
}

void pt_rx_host_close(struct pt_rx_host *h)
{
	if (!h->device_leases)
		return;
	if (h->detour_fd >= 0)
		close(h->detour_fd);
	h->detour_fd = -1;
	for (__u32 i = 0; i < h->queue_cnt; i++)
		pt_rx_queue_stop(h->queues[i]);
	pt_program_close(h->program);
	h->program = NULL;
	for (__u32 i = 0; i < h->queue_cnt; i++) {
		pt_xsk_shut(h->xsks[i]);
		pt_lease_release(h->leases[i]);
	}
	pt_leases_close(h->device_leases);
	h->device_leases = NULL;
}

void pt_rx_host_free(struct pt_rx_host *h)
{
	pt_rx_host_close(h);
	for (__u32 i = 0; i < h->queue_cnt; i++) {
		pt_rx_queue_free(h->queues[i]);
		pt_xsk_close(h->xsks[i]);
	}
	memset(h, 0, sizeof(*h));
}

int pt_rx_host_watch(struct pt_rx_host *h, struct pt_error *err)
{
	const char *dev = h->device.name;
	char name[IF_NAMESIZE];

	pt_program_settle(h->program);
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
	if (!pt_program_is_attached(h->program))
		return pt_error_set(err, PT_EXIT_HOST, -ENODEV, "%s: somebody "
				    "took pagetrim's XDP program off it (find "
				    "out who, then start receive again)", dev);
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
		return pt_error_set(err, PT_EXIT_HOST, -E2BIG, "%llu bytes of "
				    "memory announced, and %llu of %llu are "
				    "left to announce (receive {max-memory})",
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
	__u64 ns = 2 * atomic_load(&intake->grace_ns), window_ns;
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

/* What follows reads counters one after the other, while they may still move:
 * XDP's, which lead, last.  They agree only once they stand still. */

/* queue_unaccounted: frames of a queue, since the start, that no counter
 * explains.  What the socket is owed can only be told when no other session
 * is in flight. */
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
	/* Of what the sockets dropped while other sessions ran, that is ours
	 * which we lack; never more than they dropped. */
	dropped = sockets_dropped(h) - intake->dropped_before;
	taken = ledger->received + ledger->probes;
	if (intake->was_shared && ledger->steered < taken + dropped)
		dropped = ledger->steered > taken ? ledger->steered - taken : 0;
	ledger->socket_dropped = dropped;
	return ledger->steered == taken + dropped &&
	       !ledger->queue_unaccounted && pt_intake_is_placed(intake);
}
