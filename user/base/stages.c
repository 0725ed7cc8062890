/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/stages.h"

#include <pagetrim/check.h>

_Static_assert(PT_SEND_STAGE_CNT <= PT_STAGES_MAX, "send stages");
_Static_assert(PT_RECEIVE_STAGE_CNT <= PT_STAGES_MAX, "receive stages");

const struct pt_stage_name pt_send_stage_names[PT_SEND_STAGE_CNT] = {
#define X(SYMBOL, name, text) { name, text },
	PT_SEND_STAGES(X)
#undef X
};

const struct pt_stage_name pt_receive_stage_names[PT_RECEIVE_STAGE_CNT] = {
#define X(SYMBOL, name, text) { name, text },
	PT_RECEIVE_STAGES(X)
#undef X
};

/* Only the clock's thread writes, so a load and a store suffice. */
static __u64 get(const _Atomic __u64 *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

static void put(_Atomic __u64 *to, __u64 value)
{
	atomic_store_explicit(to, value, memory_order_relaxed);
}

void pt_stage_start_at(struct pt_stage_clock *c, unsigned stage, __u64 now_ns)
{
	pt_check(stage < PT_STAGES_MAX);
	pt_check(!get(&c->started_ns));
	c->since_ns = now_ns;
	atomic_store_explicit(&c->stage, stage, memory_order_relaxed);
	atomic_store_explicit(&c->started_ns, now_ns, memory_order_release);
}

void pt_stage_enter_at(struct pt_stage_clock *c, unsigned stage, __u64 now_ns)
{
	unsigned left = atomic_load_explicit(&c->stage, memory_order_relaxed);

	pt_check(stage < PT_STAGES_MAX);
	put(&c->ns[left], get(&c->ns[left]) + now_ns - c->since_ns);
	c->since_ns = now_ns;
	atomic_store_explicit(&c->stage, stage, memory_order_relaxed);
}

void pt_stage_stop_at(struct pt_stage_clock *c, __u64 now_ns)
{
	pt_stage_enter_at(c, atomic_load_explicit(&c->stage,
						  memory_order_relaxed),
			  now_ns);
	atomic_store_explicit(&c->stopped_ns, now_ns, memory_order_release);
}

/* The present stage gets the running time minus the other stages' times.  So a
 * look from another thread needs no lock, and its sum is right even if the
 * clock enters another stage meanwhile. */
void pt_stage_look_at(const struct pt_stage_clock *c,
		      struct pt_stage stages[PT_STAGES_MAX], __u64 now_ns)
{
	__u64 started_ns = atomic_load_explicit(&c->started_ns,
						memory_order_acquire);
	__u64 stopped_ns = atomic_load_explicit(&c->stopped_ns,
						memory_order_acquire);
	unsigned stage = atomic_load_explicit(&c->stage, memory_order_relaxed);
	__u64 charged_ns = 0;

	if (!started_ns)
		return;
	for (unsigned i = 0; i < PT_STAGES_MAX; i++) {
		__u64 ns = get(&c->ns[i]);

		stages[i].ns += ns;
		stages[i].bytes += get(&c->bytes[i]);
		charged_ns += ns;
	}
	if (stopped_ns)
		return;
	if (!now_ns)	/* read after the sum, which must not exceed it */
		now_ns = pt_clock_ns();
	stages[stage].ns += now_ns - started_ns - charged_ns;
}

void pt_profile_since(struct pt_profile *later,
		      const struct pt_profile *earlier)
{
	for (unsigned i = 0; i < PT_STAGES_MAX; i++) {
		struct pt_stage *stage = &later->stages[i];

		/* A look from outside may have charged a step elsewhere. */
		stage->ns -= earlier->stages[i].ns < stage->ns
			? earlier->stages[i].ns : stage->ns;
		stage->bytes -= earlier->stages[i].bytes;
	}
}
