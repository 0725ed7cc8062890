/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/chooser.h"

#include <string.h>

#define SECOND_NS	1000000000ULL
#define SAMPLE_FRAMES	2
#define REST_EPOCHS	20
#define PLAIN_CYCLES	8	/* then plain frames are tried, whatever limits: */
				/* on a slow path that costs most of an epoch */
#define WORTH(rate)	((rate) / 16 * 17)	/* a method must be faster by so
						 * much to replace another */

static void enter(struct pt_chooser *c, enum pt_chooser_step step,
		  enum pt_compression method)
{
	c->step = step;
	c->method = method;
	c->began_ns = c->rested_ns = 0;
	c->counts = step == PT_CHOOSER_REST;	/* of which all frames count */
	c->raw_sz = c->wire_sz = c->pack_ns = c->wait_ns = 0;
	c->frame_cnt = 0;
}

void pt_chooser_init(struct pt_chooser *c, __u8 methods, bool observes)
{
	memset(c, 0, sizeof(*c));
	c->observes = observes;
	c->methods = methods | 1 << PT_COMPRESSION_NONE;
	c->epoch_ns = PT_CHOOSER_EPOCH_NS;
	enter(c, PT_CHOOSER_MEASURE, PT_COMPRESSION_NONE);
}

void pt_chooser_set_rtt(struct pt_chooser *c, __u64 rtt_ns)
{
	c->epoch_ns = 3 * rtt_ns > PT_CHOOSER_EPOCH_NS ? 3 * rtt_ns
						      : PT_CHOOSER_EPOCH_NS;
}

static __u64 per_second(__u64 sz, __u64 ns)
{
	return ns ? (__uint128_t)sz * SECOND_NS / ns : 0;
}

static struct pt_chooser_rates rates_of(const struct pt_chooser *c, __u64 now_ns)
{
	__u64 ns = now_ns - c->began_ns, other_ns = c->wait_ns + c->pack_ns;

	return (struct pt_chooser_rates){
		.raw = per_second(c->raw_sz, ns),
		.wire = per_second(c->wire_sz, ns),
		.cpu = per_second(c->raw_sz, ns > other_ns ? ns - other_ns : 0),
		.is_cpu_bound = c->pack_ns > ns / 8 * 3,
	};
}

/* rest ends the cycle. */
static void rest(struct pt_chooser *c)
{
	if (c->observes) {
		c->switch_cnt += c->choice != c->found;
		c->choice = c->found;
	}
	enter(c, PT_CHOOSER_REST, c->best);
}

/* next_other goes on with the method behind the present other one, or rests. */
static void next_other(struct pt_chooser *c)
{
	int other = c->other + 1;

	while (other < PT_COMPRESSION_CNT &&
	       (other == (int)c->best || !(c->methods >> other & 1)))
		other++;
	if (other == PT_COMPRESSION_CNT) {
		rest(c);
		return;
	}
	c->other = other;
	enter(c, PT_CHOOSER_SAMPLE, c->other);
}

/* measured: plain frames need no sample.  They are slower on a path that limits,
 * and faster where a CPU does: this one, which is measured, or the receiver's. */
static void measured(struct pt_chooser *c, __u64 now_ns)
{
	c->best_rates = rates_of(c, now_ns);
	c->other = c->found = PT_COMPRESSION_NONE;
	c->found_raw = 0;
	c->plain_cnt = c->best == PT_COMPRESSION_NONE ? 0 : c->plain_cnt + 1;
	if (c->plain_cnt && (c->best_rates.is_cpu_bound ||
			     c->plain_cnt % PLAIN_CYCLES == 0))
		enter(c, PT_CHOOSER_TRY, PT_COMPRESSION_NONE);
	else
		next_other(c);
}

/* cpu_limit returns the most bytes of blocks a second by the sampled method, in a
 * lane that never waits: the rest of its work may become less with the bytes. */
static __u64 cpu_limit(const struct pt_chooser *c)
{
	const struct pt_chooser_rates *best = &c->best_rates;
	__u64 rest_ns = 0;

	if (best->cpu && best->wire)
		rest_ns = (__uint128_t)c->wire_sz * best->raw / best->wire *
			  SECOND_NS / best->cpu;
	return per_second(c->raw_sz, c->pack_ns + rest_ns);
}

/* note keeps the fastest of the methods that would have been tried. */
static void note(struct pt_chooser *c, __u64 raw)
{
	if (raw <= c->found_raw)
		return;
	c->found = c->other;
	c->found_raw = raw;
}

/* sampled: the other method's rate is at most that of a CPU, and that of the path
 * for what it leaves. */
static void sampled(struct pt_chooser *c)
{
	__u64 cpu = cpu_limit(c);
	__u64 path = c->wire_sz
		? (__uint128_t)c->best_rates.wire * c->raw_sz / c->wire_sz : 0;
	__u64 want = WORTH(c->best_rates.raw);

	if (cpu <= want) {	/* nor are the slower methods behind it */
		rest(c);
	} else if (path > want && !c->observes) {
		enter(c, PT_CHOOSER_TRY, c->other);
	} else {
		if (path > want)
			note(c, path < cpu ? path : cpu);
		next_other(c);
	}
}

static bool is_faster(const struct pt_chooser *c)
{
	return c->other_rates.raw > WORTH(c->best_rates.raw);
}

static void tried(struct pt_chooser *c, __u64 now_ns)
{
	c->other_rates = rates_of(c, now_ns);
	if (is_faster(c))
		enter(c, PT_CHOOSER_CONFIRM, c->best);
	else
		next_other(c);
}

static void confirmed(struct pt_chooser *c, __u64 now_ns)
{
	c->best_rates = rates_of(c, now_ns);
	if (is_faster(c)) {
		c->best = c->other;
		c->best_rates = c->other_rates;
		c->switch_cnt++;
	}
	next_other(c);
}

/* length_ns returns the rest of the step's time. */
static __u64 length_ns(const struct pt_chooser *c)
{
	__u64 rest_ns = REST_EPOCHS * c->epoch_ns;

	if (c->step != PT_CHOOSER_REST)
		return c->epoch_ns;
	return rest_ns > c->rested_ns ? rest_ns - c->rested_ns : 0;
}

static void count(struct pt_chooser *c, __u32 raw_sz, __u32 wire_sz, __u64 pack_ns,
		  __u64 wait_ns)
{
	c->raw_sz += raw_sz;
	c->wire_sz += wire_sz;
	c->pack_ns += pack_ns;
	c->wait_ns += wait_ns;
}

/* The first third of an epoch still shows the method before: frames of it are in
 * flight. */
static void frame_of_epoch(struct pt_chooser *c, __u64 now_ns, __u32 raw_sz,
			   __u32 wire_sz, __u64 pack_ns, __u64 wait_ns)
{
	if (!c->began_ns) {
		c->began_ns = now_ns;
		return;
	}
	if (!c->counts) {
		if (now_ns - c->began_ns >= c->epoch_ns / 3) {
			c->counts = true;
			c->began_ns = now_ns;
		}
		return;
	}
	count(c, raw_sz, wire_sz, pack_ns, wait_ns);
	if (now_ns - c->began_ns < length_ns(c))
		return;
	if (c->step == PT_CHOOSER_MEASURE)
		measured(c, now_ns);
	else if (c->step == PT_CHOOSER_TRY)
		tried(c, now_ns);
	else if (c->step == PT_CHOOSER_CONFIRM)
		confirmed(c, now_ns);
	else
		enter(c, PT_CHOOSER_MEASURE, c->best);
}

void pt_chooser_frame(struct pt_chooser *c, __u64 now_ns, __u32 raw_sz,
		     __u32 wire_sz, __u64 pack_ns, __u64 wait_ns)
{
	c->sent_ns = now_ns;
	if (c->step != PT_CHOOSER_SAMPLE) {
		frame_of_epoch(c, now_ns, raw_sz, wire_sz, pack_ns, wait_ns);
		return;
	}
	if (!raw_sz)	/* zeroes and copies */
		return;
	if (c->frame_cnt)	/* the first was staged for the method before */
		count(c, raw_sz, wire_sz, pack_ns, wait_ns);
	if (++c->frame_cnt > SAMPLE_FRAMES)
		sampled(c);
}

/* Many short rounds may follow each other: a rest goes on, and of the steps that
 * a round cut short, one by the best method so far is done again.  Another method
 * would be tried for too long. */
void pt_chooser_break(struct pt_chooser *c)
{
	switch (c->step) {
	case PT_CHOOSER_REST:
		if (c->began_ns)
			c->rested_ns += c->sent_ns - c->began_ns;
		c->began_ns = 0;
		break;
	case PT_CHOOSER_CONFIRM:
		enter(c, PT_CHOOSER_CONFIRM, c->best);
		break;
	default:
		enter(c, PT_CHOOSER_MEASURE, c->best);
	}
}
