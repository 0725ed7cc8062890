/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/regulator.h"

void pt_regulator_init(struct pt_regulator *r)
{
	*r = (struct pt_regulator){ .is_begun = false };
	pthread_mutex_init(&r->lock, NULL);
}

void pt_regulator_destroy(struct pt_regulator *r)
{
	pthread_mutex_destroy(&r->lock);
}

static void publish(struct pt_regulator *r)
{
	atomic_store_explicit(&r->window, r->cc.window, memory_order_relaxed);
	atomic_store_explicit(&r->bytes_per_s, r->cc.bytes_per_s,
			      memory_order_relaxed);
	atomic_store_explicit(&r->silence_ns, 2 * r->cc.srtt_ns + 1000000,
			      memory_order_relaxed);
	atomic_store_explicit(&r->is_on, true, memory_order_release);
}

void pt_regulator_probed(struct pt_regulator *r, __u32 frame_sz, __u64 rtt_ns,
			 __u64 bytes_per_s)
{
	pthread_mutex_lock(&r->lock);
	if (frame_sz > r->probed.frame_sz)
		r->probed.frame_sz = frame_sz;
	if (!r->probed.rtt_ns || (rtt_ns && rtt_ns < r->probed.rtt_ns))
		r->probed.rtt_ns = rtt_ns;
	if (bytes_per_s > r->probed.bytes_per_s)
		r->probed.bytes_per_s = bytes_per_s;
	if (r->is_begun)
		r->cc.frame_sz = r->probed.frame_sz;
	else
		pt_congestion_init(&r->cc, r->probed.frame_sz,
				   PT_CC_WEIGHT_ONE, r->probed.rtt_ns,
				   r->probed.bytes_per_s);
	publish(r);
	pthread_mutex_unlock(&r->lock);
}

/* leave_of returns the leave to give at a time: small enough for sharing and
 * pacing, large enough that asking is cheap. */
static __u32 leave_of(__u64 window, __u64 rate, __u32 frame_sz)
{
	__u64 sz = rate / (1000000000 / PT_REGULATOR_LEAVE_NS);

	if (sz > window / 16)
		sz = window / 16;
	if (sz > PT_REGULATOR_LEAVE_SZ)
		sz = PT_REGULATOR_LEAVE_SZ;
	return sz > frame_sz ? sz : frame_sz;
}

static void refuse(struct pt_regulator *r, __u32 leave_sz)
{
	pt_regulator_give_back(r, leave_sz);
	atomic_store_explicit(&r->has_refused, true, memory_order_relaxed);
}

/* forgo: time in which the window held all lanes is hardly made up for, or the
 * frames that one ACK permits would arrive at a short queue at once. */
static void forgo(struct pt_regulator *r, __u64 now_ns)
{
	__u64 due_ns = atomic_load_explicit(&r->due_ns, memory_order_relaxed);

	if (due_ns + PT_REGULATOR_FULL_NS < now_ns)
		atomic_compare_exchange_strong_explicit(&r->due_ns, &due_ns,
			now_ns - PT_REGULATOR_FULL_NS,
			memory_order_relaxed, memory_order_relaxed);
}

__u64 pt_regulator_ask(struct pt_regulator *r, __u64 now_ns, __u32 frame_sz,
		       __u32 *leave_sz)
{
	__u64 window, rate, in_flight, due_ns, from_ns;

	*leave_sz = ~0U;
	if (!atomic_load_explicit(&r->is_on, memory_order_acquire))
		return 0;
	window = atomic_load_explicit(&r->window, memory_order_relaxed);
	rate = atomic_load_explicit(&r->bytes_per_s, memory_order_relaxed);
	*leave_sz = leave_of(window, rate, frame_sz);
	in_flight = atomic_fetch_add_explicit(&r->in_flight, *leave_sz,
					      memory_order_relaxed);
	if (in_flight && in_flight + frame_sz > window) {
		refuse(r, *leave_sz);
		forgo(r, now_ns);
		return PT_REGULATOR_FULL;
	}
	due_ns = atomic_load_explicit(&r->due_ns, memory_order_relaxed);
	do {
		if (due_ns > now_ns + PT_REGULATOR_AHEAD_NS) {
			refuse(r, *leave_sz);
			return due_ns - now_ns;
		}
		from_ns = due_ns + PT_REGULATOR_BURST_NS < now_ns
			? now_ns - PT_REGULATOR_BURST_NS : due_ns;
	} while (!atomic_compare_exchange_weak_explicit(&r->due_ns, &due_ns,
			from_ns + *leave_sz * 1000000000ULL / rate,
			memory_order_relaxed, memory_order_relaxed));
	return 0;
}

void pt_regulator_give_back(struct pt_regulator *r, __u64 sz)
{
	atomic_fetch_sub_explicit(&r->in_flight, sz, memory_order_relaxed);
}

void pt_regulator_take(struct pt_regulator *r, struct pt_congestion_ack *ack)
{
	/* Before the path is known no lane may send: the ACK only carries a
	 * window. */
	if (!atomic_load_explicit(&r->is_on, memory_order_acquire))
		return;
	pthread_mutex_lock(&r->lock);
	r->is_begun |= ack->sent_ns;
	ack->is_limited = atomic_exchange_explicit(&r->has_refused, false,
						   memory_order_relaxed);
	ack->in_flight = atomic_load_explicit(&r->in_flight,
					      memory_order_relaxed);
	pt_regulator_give_back(r, ack->arrived_sz + ack->lost_sz);
	pt_congestion_take(&r->cc, ack);
	publish(r);
	pthread_mutex_unlock(&r->lock);
}

bool pt_regulator_look(struct pt_regulator *r, struct pt_regulator_look *look)
{
	static const char *const modes[] = {
		[PT_CC_START] = "start",
		[PT_CC_DELAY] = "delay",
		[PT_CC_LOSS] = "loss",
	};

	if (!atomic_load_explicit(&r->is_on, memory_order_acquire))
		return false;
	pthread_mutex_lock(&r->lock);
	*look = (struct pt_regulator_look){
		.window = r->cc.window,
		.bytes_per_s = r->cc.bytes_per_s,
		.rtt_ns = pt_congestion_rtt_ns(&r->cc),
		.queue_ns = r->cc.queue_ns > 0 ? r->cc.queue_ns : 0,
		.mode = modes[r->cc.mode],
	};
	pthread_mutex_unlock(&r->lock);
	return true;
}
