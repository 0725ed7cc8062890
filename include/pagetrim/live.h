/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* live: memory that is written while it is sent; a part of pagetrim.h, which has the
 * rules of all structs.  C and C++.
 *
 * A program moves to another process of itself while it runs.  Its sender has a
 * source, and its receiver a sink, of regions:
 *
 *     sending program                         receiving program
 *                      description  -------->  match
 *     rounds of memory ------------------->    its regions
 *     pause, last round ------------------>
 *     state            ------------------->    state
 *                                    COMMIT
 *                                              run
 *
 * It never runs twice: run is called only after the COMMIT of a sender that is
 * paused, and will not call resume unless it is known that run was not called
 * or failed.  After any other failure the sender calls resume.  If the outcome
 * is not known, pt_send_step returns PT_ERROR_UNKNOWN, and the program stays
 * paused: it may be resumed only if it does not run at the receiver. */
#ifndef PAGETRIM_LIVE_H
#define PAGETRIM_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the state besides the memory, and of a description without its
 * NUL. */
#define PT_LIVE_STATE_SZ_MAX		((64u << 20) - 8)
#define PT_LIVE_DESCRIPTION_SZ_MAX	1024

/* pt_live_watch: how written pages are found. */
enum pt_live_watch {
	PT_LIVE_WATCH_AUTO = 0,
	PT_LIVE_WATCH_WRITES = 1,	/* by write protection; Linux 6.7 */
	PT_LIVE_WATCH_DIGESTS = 2	/* by reading all memory in each round */
};

/* pt_live_round: a round that has ended.  The argument of a callback, valid
 * during the call. */
struct pt_live_round {
	size_t sz;
	uint32_t idx;			/* from 1 */
	uint64_t pages;			/* that were sent */
	uint64_t wire_sz;		/* Ethernet bytes of them */
	uint64_t took_ns;
	uint64_t dirty_pages;		/* of the next round */
	uint64_t dirty_per_s;		/* pages written per second */
	uint64_t downtime_ns;		/* expected, if the program stops now */
};

/* pt_live_send: the sender's part.  A thread of the library calls pause, state
 * and resume, which may block; the library copies the strings. */
struct pt_live_send {
	size_t sz;
	const char *description;	/* for match of the receiver; NULL: "" */
	uint32_t downtime_limit;	/* milliseconds, 1..60000; 0: 300 */
	uint32_t max_rounds;		/* 1..10000; 0: 30 */
	bool stop_anyway;		/* after the last round the program is
					 * paused for longer than the limit.
					 * Otherwise -ETIME, and it runs on */
	enum pt_live_watch watch;
	/* 0: nobody writes the memory until resume; or -errno, which ends the
	 * transfer (-ETIMEDOUT as -ETIME), and resume is called.  Required. */
	int (*pause)(void *arg);
	/* After pause: sets *bytes and *state_sz, up to PT_LIVE_STATE_SZ_MAX,
	 * which stay valid until pt_send_close; 0 or -errno.  NULL: no state. */
	int (*state)(const void **bytes, uint64_t *state_sz, void *arg);
	/* The transfer failed after pause was called: the program runs on.
	 * pt_send_step returns the failure later.  NULL: not called. */
	void (*resume)(void *arg);
	/* pt_send_step calls round.  NULL: not called. */
	void (*round)(const struct pt_live_round *round, void *arg);
	void *arg;
	uint32_t deadline;		/* seconds from the start to the end,
					 * 1..86400; takes the place of
					 * max_rounds; 0: none */
	/* While rounds do not converge: the program gets percent less CPU time from
	 * now on, 1..99, or all of it again, 0; or -errno.  It is called with 0
	 * before pause, and at the end.  A thread of the library calls it.  NULL:
	 * not called.  Not with stop_anyway. */
	int (*throttle)(uint32_t percent, void *arg);
	/* Reports the pages that were written since its last call, or since before
	 * pt_send_start, by calls of dirty(to, gfn, cnt), from within; 0, or
	 * -errno.  A page that is reported too often does no harm.  A thread of the
	 * library calls it, in each round and after pause.  NULL: the library
	 * finds them.  Only with PT_LIVE_WATCH_AUTO. */
	int (*changed)(void (*dirty)(void *to, uint64_t gfn, uint64_t cnt),
		       void *to, void *arg);
};

/* pt_live_recv: the receiver's part. */
struct pt_live_recv {
	size_t sz;
	/* 0: a program of this description can arrive here; or -errno, before
	 * any memory moves.  The text is the sender's.  pt_recv_step calls it.
	 * NULL: any can. */
	int (*match)(const char *description, void *arg);
	/* The state, valid during the call, after all of the memory and before
	 * the commit; 0, or -errno: the sender's program runs on.  A thread of
	 * the library calls it.  NULL: only an empty state is accepted. */
	int (*state)(const void *bytes, uint64_t state_sz, void *arg);
	/* After COMMIT: the program may write its memory from now on.  0; or
	 * -errno: it does not run, and the sender's runs on.  A thread of the
	 * library calls it.  Required. */
	int (*run)(void *arg);
	void *arg;
};

#endif
