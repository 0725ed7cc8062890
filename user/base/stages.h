/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stages: the time of a thread, by stage.  A stage clock is in one stage at a
 * time.  Entering the next stage charges the elapsed time to the previous one,
 * so the stages add up to the whole time of the thread.
 *
 *     start --> enter --> enter --> ... --> (stop)
 *                  look, any time
 *
 * A NULL clock is off: each call is a branch, and no clock is read.
 *
 * Threads: one thread drives a clock; any thread may look.
 */
#ifndef BASE_STAGES_H
#define BASE_STAGES_H

#include <linux/types.h>
#include <stdatomic.h>
#include <pagetrim/clock.h>

/* PT_SEND_STAGES, PT_RECEIVE_STAGES: X(SYMBOL, name, text), in the order of the
 * report; text is for people.  A test compares the manual pages with these
 * lists. */
#define PT_SEND_STAGES(X)						\
	X(PROBE,   "probe",   "finding the receiver's queue and frame size") \
	X(MAP,     "map",     "having the source's pages at hand")	\
	X(SCAN,    "scan",    "finding blocks that hold data, digests")	\
	X(BUILD,   "build",   "headers, records, copying blocks")	\
	X(COMPRESS, "compress", "compressing blocks")			\
	X(SEAL,    "seal",    "encrypting into the frame, or checksums")	\
	X(TX,      "tx",      "system calls that send")			\
	X(WAIT,    "wait",    "for credit, buffers, acknowledgements, the limit") \
	X(RECHECK, "recheck", "reading the source once more")		\
	X(IDLE,    "idle",    "nothing to send, yet or any more")

#define PT_RECEIVE_STAGES(X)						\
	X(POLL,    "poll",    "taking frames from the ring, giving them back") \
	X(CHECK,   "check",   "headers, records, sequence numbers")	\
	X(OPEN,    "open",    "decrypting and tags, or checksums")	\
	X(PLACE,   "place",   "decompressing, writing blocks to the image, digests") \
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

/* pt_stage: the time of one stage, and the bytes that it worked on (0 if it
 * works on none). */
struct pt_stage {
	__u64 ns;
	__u64 bytes;
};

/* pt_profile: the sums over one or several threads. */
struct pt_profile {
	__u32 thread_cnt;
	__u64 time_ns;		/* of all threads, measured by their starter */
	struct pt_stage stages[PT_STAGES_MAX];
};

/* pt_stage_clock: a clock of zeroes was never started. */
struct pt_stage_clock {
	_Atomic __u64 ns[PT_STAGES_MAX];
	_Atomic __u64 bytes[PT_STAGES_MAX];
	_Atomic __u64 started_ns;	/* 0: not yet */
	_Atomic __u64 stopped_ns;	/* 0: it runs */
	_Atomic __u32 stage;		/* the present one */
	__u64 since_ns;			/* only its thread uses it */
};

/* Variants for tests, which pass the time; the functions below read the
 * clock. */
void pt_stage_start_at(struct pt_stage_clock *c, unsigned stage, __u64 now_ns);
void pt_stage_enter_at(struct pt_stage_clock *c, unsigned stage, __u64 now_ns);
void pt_stage_stop_at(struct pt_stage_clock *c, __u64 now_ns);
void pt_stage_look_at(const struct pt_stage_clock *c,
		      struct pt_stage stages[PT_STAGES_MAX], __u64 now_ns);

/* pt_stage_start starts the clock in a stage.  Its thread calls it once. */
static inline void pt_stage_start(struct pt_stage_clock *c, unsigned stage)
{
	if (__builtin_expect(c != NULL, 0))
		pt_stage_start_at(c, stage, pt_clock_ns());
}

/* pt_stage_enter returns the previous stage, so that the caller can return to
 * it.  Entering the present stage costs nothing. */
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

/* pt_stage_bytes adds bytes to a stage, which need not be the present one. */
static inline void pt_stage_bytes(struct pt_stage_clock *c, unsigned stage,
				  __u64 bytes)
{
	if (__builtin_expect(c != NULL, 0))
		atomic_store_explicit(&c->bytes[stage],
			atomic_load_explicit(&c->bytes[stage],
					     memory_order_relaxed) + bytes,
			memory_order_relaxed);
}

/* pt_stage_stop charges the last stage and stops the clock. */
static inline void pt_stage_stop(struct pt_stage_clock *c)
{
	if (__builtin_expect(c != NULL, 0))
		pt_stage_stop_at(c, pt_clock_ns());
}

/* pt_stage_look adds the clock's times to stages, with the time of the present
 * stage, so the sum is the clock's running time.  A look from another thread
 * may charge one step to the following stage. */
static inline void pt_stage_look(const struct pt_stage_clock *c,
				 struct pt_stage stages[PT_STAGES_MAX])
{
	pt_stage_look_at(c, stages, 0);
}

/* pt_profile_since subtracts an earlier look from a later one. */
void pt_profile_since(struct pt_profile *later,
		      const struct pt_profile *earlier);

/* pt_stage_name: the name and text of a stage. */
struct pt_stage_name {
	const char *name;
	const char *text;
};

extern const struct pt_stage_name pt_send_stage_names[PT_SEND_STAGE_CNT];
extern const struct pt_stage_name pt_receive_stage_names[PT_RECEIVE_STAGE_CNT];

#endif
