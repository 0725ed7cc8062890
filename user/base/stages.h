/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stages: where a thread's time goes.  A stage clock is in one stage at a time,
 * and entering the next charges the time since to the one that is left: so
 * the stages tile the time of the thread, and nothing hides between them.
 *
 *     start --> enter --> enter --> ... --> (stop)
 *                  look, any time
 *
 * A NULL clock is one that is off: each call is a branch, and no clock is read.
 *
 * Threads: one drives a clock; any may look.
 */
#ifndef BASE_STAGES_H
#define BASE_STAGES_H

#include <linux/types.h>
#include <stdatomic.h>
#include <pagetrim/clock.h>

/* PT_SEND_STAGES, PT_RECEIVE_STAGES: X(SYMBOL, name, text), in the order in
 * which they are shown; text is for people.  The tests hold the manual pages
 * to these lists. */
#define PT_SEND_STAGES(X)						\
	X(PROBE,   "probe",   "finding the receiver's queue and frame size") \
	X(MAP,     "map",     "having the source's pages at hand")	\
	X(SCAN,    "scan",    "finding blocks that hold data, digests")	\
	X(BUILD,   "build",   "headers, records, copying blocks")	\
	X(SEAL,    "seal",    "encrypting into the frame, or checksums")	\
	X(TX,      "tx",      "system calls that send")			\
	X(WAIT,    "wait",    "for credit, buffers, acknowledgements, the limit") \
	X(RECHECK, "recheck", "reading the source once more")		\
	X(IDLE,    "idle",    "nothing to send, yet or any more")

#define PT_RECEIVE_STAGES(X)						\
	X(POLL,    "poll",    "taking frames from the ring, giving them back") \
	X(CHECK,   "check",   "headers, records, sequence numbers")	\
	X(OPEN,    "open",    "decrypting and tags, or checksums")	\
	X(PLACE,   "place",   "writing blocks to the image, digests")	\
	X(ACK,     "ack",     "looking for gaps, acknowledging")	\
	X(IDLE,    "idle",    "asleep until a frame comes")

enum pt_send_stage {
#define X(SYMBOL, name, text) PT_SEND_STAGE_##SYMBOL,
	PT_SEND_STAGES(X)
#undef X
	PT_SEND_STAGE_CNT
};

enum pt_receive_stage {
#define X(SYMBOL, name, text) PT_RECEIVE_STAGE_##SYMBOL,
	PT_RECEIVE_STAGES(X)
#undef X
	PT_RECEIVE_STAGE_CNT
};

#define PT_STAGES_MAX	16

/* pt_stage: what was found of one.  Bytes are those the stage worked on; of
 * one that works on none, 0. */
struct pt_stage {
	__u64 ns;
	__u64 bytes;
};

/* pt_profile: of one or several threads together. */
struct pt_profile {
	__u32 thread_cnt;
	__u64 time_ns;		/* of all threads, by who started them */
	struct pt_stage stages[PT_STAGES_MAX];
};

/* pt_stage_clock: all zero is one that was never started. */
struct pt_stage_clock {
	_Atomic __u64 ns[PT_STAGES_MAX];
	_Atomic __u64 bytes[PT_STAGES_MAX];
	_Atomic __u64 started_ns;	/* 0: not yet */
	_Atomic __u64 stopped_ns;	/* 0: it runs */
	_Atomic __u32 stage;		/* it is in */
	__u64 since_ns;			/* its thread's */
};

/* These take the time, for tests; the ones below ask for it. */
void pt_stage_start_at(struct pt_stage_clock *c, unsigned stage, __u64 now_ns);
void pt_stage_enter_at(struct pt_stage_clock *c, unsigned stage, __u64 now_ns);
void pt_stage_stop_at(struct pt_stage_clock *c, __u64 now_ns);
void pt_stage_look_at(const struct pt_stage_clock *c,
		      struct pt_stage stages[PT_STAGES_MAX], __u64 now_ns);

/* pt_stage_start begins the clock in a stage.  Once, by its thread. */
static inline void pt_stage_start(struct pt_stage_clock *c, unsigned stage)
{
	if (__builtin_expect(c != NULL, 0))
		pt_stage_start_at(c, stage, pt_clock_ns());
}

/* pt_stage_enter returns the stage that was left, for who wants to go back to
 * it.  To enter the stage that the clock is in costs nothing. */
static inline unsigned pt_stage_enter(struct pt_stage_clock *c, unsigned stage)
{
	unsigned left;

	if (__builtin_expect(!c, 1))
		return stage;
	left = atomic_load_explicit(&c->stage, memory_order_relaxed);
	if (left != stage)
		pt_stage_enter_at(c, stage, pt_clock_ns());
	return left;
}

/* pt_stage_bytes adds to what a stage worked on, whichever the clock is in. */
static inline void pt_stage_bytes(struct pt_stage_clock *c, unsigned stage,
				  __u64 bytes)
{
	if (__builtin_expect(c != NULL, 0))
		atomic_store_explicit(&c->bytes[stage],
			atomic_load_explicit(&c->bytes[stage],
					     memory_order_relaxed) + bytes,
			memory_order_relaxed);
}

/* pt_stage_stop charges the last stage: no time passes for the clock any
 * more. */
static inline void pt_stage_stop(struct pt_stage_clock *c)
{
	if (__builtin_expect(c != NULL, 0))
		pt_stage_stop_at(c, pt_clock_ns());
}

/* pt_stage_look adds what the clock shows to stages, the time of the stage that
 * it is in too: the sum is the time that it has run.  Seen from another
 * thread, one step may be charged to the stage after it. */
static inline void pt_stage_look(const struct pt_stage_clock *c,
				 struct pt_stage stages[PT_STAGES_MAX])
{
	pt_stage_look_at(c, stages, 0);
}

/* pt_profile_since takes an earlier look out of a later one. */
void pt_profile_since(struct pt_profile *later,
		      const struct pt_profile *earlier);

/* pt_stage_names: of enum pt_send_stage, and of enum pt_receive_stage. */
struct pt_stage_name {
	const char *name;
	const char *text;
};

extern const struct pt_stage_name pt_send_stage_names[PT_SEND_STAGE_CNT];
extern const struct pt_stage_name pt_receive_stage_names[PT_RECEIVE_STAGE_CNT];

#endif
