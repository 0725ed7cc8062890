/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room run: a move that is over, from its events to a picture.
 *
 *   knows         the events as JSON, charts as SVG
 *   may use       base
 *   must not know transfers, the command line
 */
/* run: a move that is over, as the events of `pagetrim migrate --json` tell it.
 * The file is judged: another program may have written it. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include <stdbool.h>
#include <linux/types.h>
#include <pagetrim/error.h>

#define PT_RUN_ROUNDS_MAX	10000
#define PT_RUN_FILE_MAX		(64u << 20)	/* bytes */
#define PT_RUN_TEXT_SZ		256

/* PT_RUN_PARTS: X(key of live.downtime-parts, text), in their order. */
#define PT_RUN_PARTS(X)						\
	X("recheck", "last pages found")			\
	X("last-round", "last pages sent")			\
	X("verify", "verified")					\
	X("device", "device state")				\
	X("commit", "guest started")

enum {
#define X(key, text) + 1
	PT_RUN_PART_CNT = 0 PT_RUN_PARTS(X)
#undef X
};

/* pt_run_round: figures are 0 where the event has none, never below 0. */
struct pt_run_round {
	double at_ms;			/* since the start of the sender */
	double time_ms, pause_ms, look_ms;
	double pages, bytes;		/* that were sent */
	double dirty_pages;		/* afterwards */
	double dirty_per_s;
	double expected_ms;		/* downtime */
};

struct pt_run {
	char transfer_id[PT_RUN_TEXT_SZ], tracker[PT_RUN_TEXT_SZ];
	char status[PT_RUN_TEXT_SZ];	/* "": the last event is missing */
	bool is_cut;			/* the file ends within an event */
	char error[PT_RUN_TEXT_SZ];
	double memory_sz, total_ms, limit_ms;
	double stop_at_ms;		/* it was asked for; 0: never */
	double stop_ms;			/* until the guest stood still */
	double bytes, frames, frames_lost, last_pages;
	double downtime_ms;
	double part_ms[PT_RUN_PART_CNT];
	__u32 round_cnt;
	struct pt_run_round rounds[PT_RUN_ROUNDS_MAX];
};

/* pt_run_read reads the events in the file at path; *out is the caller's, to
 * free(3).  The file of a killed process may end within a line.  Exit code 3 and
 * -errno in err; -EINVAL: no JSON, or no such events. */
int pt_run_read(struct pt_run **out, const char *path, struct pt_error *err);

/* pt_run_draw writes the run as one HTML document to path, replacing a file of
 * that name.  Exit code 3 and -errno in err. */
int pt_run_draw(const struct pt_run *run, const char *path,
		struct pt_error *err);

#endif
