/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room live: rounds over a memory that changes while it is sent.
 *
 *   knows         the tracker, pages that must be sent again, when a stop fits
 *                 the downtime, what is compared at the stop
 *   may use       base memory source track
 *   must not know frames, connections, lanes; the hypervisor
 */
/* live: a thread that looks for written pages, and stops and resumes the guest,
 * since all of that may block.
 *
 *     start --> job, result; job, result; ... --> free
 *
 *     ARM        the tracker is chosen, and watches from now on
 *     THROTTLE   the guest gets less CPU time from now on, until BEGIN
 *     LOOK       pages that were written since are found
 *     BEGIN      the device state begins to flow
 *     STOP       the guest stops; the last written pages are found
 *     SENT       all of the memory is placed: it may change again
 *     HAND_OVER  the device state flows until the destination has it all
 *
 * Nothing is missed at the stop: all pages that the tracker reported in any
 * round are compared by content with the sent bytes, since I/O that was in
 * flight across a look is not reported; so are holes.  I/O may also have been in
 * flight across the arming, which is not reported at all: unless ARM drained it,
 * the stop compares all memory, until all was compared once, PT_LIVE_SETTLE_NS
 * after the arming.
 *
 * A reported page is found only if its content differs from what was sent.
 *
 * Threads: its own; one other thread calls all functions.
 */
#ifndef LIVE_LIVE_H
#define LIVE_LIVE_H

#include "memory/digests.h"
#include "memory/dirty.h"
#include "source/source.h"
#include "track/tracker.h"

struct pt_live;

enum pt_live_job {
	PT_LIVE_IDLE,
	PT_LIVE_ARM,
	PT_LIVE_THROTTLE,
	PT_LIVE_LOOK,
	PT_LIVE_BEGIN,
	PT_LIVE_STOP,
	PT_LIVE_SENT,
	PT_LIVE_HAND_OVER,
};

/* PT_LIVE_SETTLE_NS: no I/O takes longer than this. */
#define PT_LIVE_SETTLE_NS	30000000000ULL

/* pt_live_wait: a wait of the guest's functions ends after so long with
 * -ETIMEDOUT, and is called again. */
#define PT_LIVE_WAIT_MS	100

/* pt_live_guest: the program whose memory it is.  The live thread calls these
 * functions.  NULL: nothing is to be done. */
struct pt_live_guest {
	/* 0: all I/O that writes the memory past its page tables, and that was
	 * in flight at the call, has ended; else unknown, if some was. */
	int (*drain)(void *arg, struct pt_error *err);
	/* Begins the stream of the device state at *fd, which is non-blocking
	 * and the caller's. */
	int (*begin)(void *arg, int *fd, struct pt_error *err);
	/* Stops the guest; 0: its memory stands still. */
	int (*stop)(void *arg, int timeout_ms, struct pt_error *err);
	/* A copy is taken, and the guest goes on: it runs again. */
	void (*sent)(void *arg);
	/* 0: the destination has the device state, and the guest here is
	 * stopped for good. */
	int (*hand_over)(void *arg, int timeout_ms, struct pt_error *err);
	/* After a failure: the guest runs again, as before begin. */
	int (*resume)(void *arg, struct pt_error *err);
	/* Takes so many percent of the guest's CPU time; 0: none any more.  It
	 * is called with 0 before begin, and at the end, if any was taken. */
	int (*throttle)(void *arg, unsigned percent, struct pt_error *err);
	void *arg;
	/* The memory is a stream of versions that somebody else writes, until he
	 * stops by himself: begin comes before the first round, rounds follow
	 * until is_last, and no page is compared.  collect is the tracker, see
	 * pt_tracker_open_told; a call means that all pages of the call before
	 * have arrived.  is_last is called between two jobs, by the other
	 * thread: the last collect has reported all that there will be. */
	int (*collect)(void *arg, const struct pt_track_to *to,
		       const atomic_bool *is_cancelled, struct pt_error *err);
	bool (*is_last)(void *arg);
	/* Takes the tracker's place: reports the pages that were written since its
	 * last call, or since before ARM, by calls of dirty.  It must not wait. */
	int (*changed)(void *arg, void (*dirty)(void *to, __u64 gfn, __u64 cnt),
		       void *to, struct pt_error *err);
	/* failure: 0, or why the writer gave up; called at any time, by the other
	 * thread. */
	int (*failure)(void *arg, struct pt_error *err);
};

enum pt_live_tracker {
	PT_LIVE_TRACKER_AUTO,
	PT_LIVE_TRACKER_WP,
	PT_LIVE_TRACKER_DIGEST,
};

struct pt_live_cfg {		/* all that pointers refer to outlives it */
	struct pt_source *source;
	const struct pt_layout *layout;
	const struct pt_digests *digests;	/* of the pages as last sent;
						 * unchanged during a job */
	__u64 digest_key;
	pid_t pid;			/* the process that writes; 0: unknown */
	const struct pt_track_range *ranges;	/* the memory, as it is mapped
						 * there; none if the source has
						 * mappings */
	__u32 range_cnt;
	enum pt_live_tracker tracker;
	struct pt_live_guest guest;
	int wake_fd;			/* eventfd, written at each result */
};

/* pt_live_report: the present state, and times of the last job of a kind. */
struct pt_live_report {
	const char *tracker;		/* its name; NULL: not armed */
	char why[512];			/* the reason for digest; "": none */
	char compare_why[512];		/* the reason to compare all memory at a
					 * stop until it has settled; "": none */
	double odds;			/* of a missed change, see tracker.h */
	bool is_exact;			/* a look finds just the pages that differ
					 * from what was sent, whenever they
					 * were written */
	__u32 misses;			/* enum pt_track_misses: kinds of changes
					 * that the look at the stop does not
					 * find either */
	__u64 arm_ns;
	__u64 look_ns;			/* to find the pages to be sent, ... */
	__u64 collect_ns;		/* ... of which the tracker took */
	__u64 compare_ns;		/* of one page with data, on average: the
					 * least so far, since at the stop the
					 * guest does not take CPU time */
	__u64 holes_ns;			/* to find the punched holes */
	bool is_settled;		/* not all memory is compared at the stop */
	__u64 suspect_cnt;		/* pages to be compared at the stop */
	__u64 stop_ns;			/* until the memory stood still */
	__u64 recheck_ns;		/* from then on */
	__u64 stood_ns;			/* until it ran again, after SENT */
	__u64 recheck_cnt;		/* pages that were found by comparing */
	__u64 hand_over_ns;
};

/* pt_live_start: -ENOMEM, -EAGAIN. */
int pt_live_start(struct pt_live **out, const struct pt_live_cfg *cfg,
		  struct pt_error *err);

/* pt_live_do begins a job, after a pause.  The previous one has a result. */
void pt_live_do(struct pt_live *l, enum pt_live_job job, __u64 pause_ns);

/* pt_live_throttle begins THROTTLE, as pt_live_do, by so many percent. */
void pt_live_throttle(struct pt_live *l, unsigned percent);

/* pt_live_result returns 1 if the job is done; 0: not yet; or -errno, after which
 * no job follows:
 *   -ETIME   the guest has not stopped in time
 *   or as the tracker and the guest's functions */
int pt_live_result(struct pt_live *l, struct pt_error *err);

/* pt_live_found returns the pages that LOOK or STOP found, which the caller
 * takes out before the next job. */
struct pt_dirty *pt_live_found(struct pt_live *l);

/* pt_live_state_fd returns the descriptor of BEGIN; -1: none. */
int pt_live_state_fd(const struct pt_live *l);

/* pt_live_report returns the report, which is unchanged between two jobs. */
const struct pt_live_report *pt_live_report(const struct pt_live *l);

/* pt_live_abandon ends the present job early.  A guest that was begun or stopped
 * is resumed, by the thread, unless keep is set.  Only the first call counts. */
void pt_live_abandon(struct pt_live *l, bool keep);

/* pt_live_has_ended: the thread has.  pt_live_free waits for that, frees l, and
 * returns the descriptor of BEGIN, which the caller closes then; -1: none.  Both
 * allow NULL. */
bool pt_live_has_ended(const struct pt_live *l);
int pt_live_free(struct pt_live *l);

#endif
