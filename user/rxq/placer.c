/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/placer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "base/thread.h"
#include "rxq/intake.h"

#define BATCH_DESC	256	/* descriptors, or pages if a frame has more of
				 * these, 1 MiB, that are written before their
				 * chunks go back; one frame may exceed this */

struct pt_placer {
	struct pt_rx_lane *lane;
	bool apart;
	pthread_t thread;
	atomic_bool stop;

	/* The present batch, for the queue's thread only. */
	struct pt_parcel *taken, *taken_last;
	bool is_reading;	/* the thread holds the intake's place_lock */
	_Atomic __u64 given_cnt;	/* frames, since the start; ... */
	__u64 given_desc;		/* ... their credit */

	pthread_mutex_t lock;
	pthread_cond_t given;
	struct pt_parcel *first, **end;	/* the waiting frames */

	/* Written by the placing thread. */
	_Atomic __u64 placed_cnt;	/* of given_cnt, including dropped
					 * ones */
	_Atomic __u64 placed_desc;
	_Atomic __u64 placed_upto;
	_Atomic __u32 held_cnt;
	_Atomic __u64 since_ns;
	struct pt_stage_clock clock;	/* if the intake is profiled */
	struct pt_sink_run *run;
	struct pt_decompressor *decompressor;	/* NULL: frames are not
						 * compressed */
	struct pt_decompressor *trial;	/* of judge, if the thread has the
					 * other */
	struct pt_refusals refusals;	/* not yet told */
	struct pt_reader reader;
};

_Static_assert(PT_REFUSALS_MAX == PT_REFUSED_MAX, "one REFUSED tells them all");

/* tell_refusals: before anything says that these frames are placed.  A sender that
 * does not read is one that names originals at random. */
static void tell_refusals(struct pt_placer *p)
{
	struct pt_intake *intake = p->lane->intake;
	struct pt_message m = {
		.type = PT_MSG_REFUSED,
		.refused = {
			.lane = p->lane->lane_idx,
			.page = p->refusals.pages,
			.page_cnt = p->refusals.cnt,
		},
	};
	struct pt_error err;

	if (!p->refusals.cnt)
		return;
	p->refusals.cnt = 0;
	if (pt_conn_send(intake->conn, &m, &err) == -ENOBUFS)
		pt_intake_fail(intake, -ENOBUFS, &err);
}

/* blame ends the transfer for a sealed frame, which its sender made so and would
 * send again. */
static void blame(const struct pt_placer *p, const struct pt_reader *reader)
{
	struct pt_error err;

	pt_error_set(&err, PT_EXIT_PEER, -EPROTO, "lane %u: frame %llu, by %s, "
		     "cannot be decompressed, and nothing of it was placed (is the "
		     "sender pagetrim?)", p->lane->lane_idx,
		     (unsigned long long)reader->id.seq,
		     pt_compression_name(reader->compression));
	pt_intake_fail(p->lane->intake, -EPROTO, &err);
}

/* decompress: the run may hold blocks of the frame before, which are overwritten.
 * False: there is no unit, and nothing is placed. */
static bool decompress(struct pt_placer *p, struct pt_reader *reader)
{
	struct pt_error err;
	int ret;

	if (!reader->is_compressed)
		return true;
	ret = pt_rebuild_flush(p->lane->intake->rebuild, p->run, &p->lane->sum,
			       &err);
	if (ret)
		pt_intake_fail(p->lane->intake, ret, &err);
	return pt_reader_decompress(reader, p->decompressor);
}

/* place_one places an opened frame; a failure ends the transfer. */
static void place_one(struct pt_placer *p, struct pt_reader *reader)
{
	struct pt_rebuild_counts counts = { 0 };
	struct pt_rx_lane *l = p->lane;
	struct pt_error err;
	int ret;

	if (!decompress(p, reader)) {
		pt_rx_lane_no_unit(l, reader->record_cnt);
		blame(p, reader);
		return;
	}
	ret = pt_rebuild_place(l->intake->rebuild, p->run, &l->sum,
			       &p->refusals, reader, &counts, &err);
	pt_rx_lane_placed(l, &counts);
	if (p->refusals.cnt > PT_REFUSALS_MAX - PT_RECORDS_MAX)
		tell_refusals(p);
	if (ret)
		pt_intake_fail(l->intake, ret, &err);
}

static void flush(struct pt_placer *p)
{
	struct pt_intake *intake = p->lane->intake;
	struct pt_error err;
	int ret = pt_rebuild_flush(intake->rebuild, p->run, &p->lane->sum, &err);

	if (ret)
		pt_intake_fail(intake, ret, &err);
	tell_refusals(p);
}

/* --- for the queue's thread ------------------------------------------ */

static void read_lock(struct pt_placer *p)
{
	if (!p->is_reading)
		pthread_rwlock_rdlock(&p->lane->intake->place_lock);
	p->is_reading = true;
}

/* has_unit: an unsealed frame that a thread will place is decompressed here, too,
 * to find out. */
static bool has_unit(struct pt_placer *p, struct pt_reader *reader)
{
	const struct pt_intake *intake = p->lane->intake;

	if (!(intake->compressions >> reader->compression & 1))
		return false;
	if (!p->apart) {
		read_lock(p);
		return decompress(p, reader);
	}
	return intake->is_sealed || pt_reader_decompress(reader, p->trial);
}

bool pt_placer_judge(struct pt_placer *p, struct pt_reader *reader)
{
	if (!reader->is_compressed || has_unit(p, reader))
		return true;
	if (p->lane->intake->is_sealed)
		blame(p, reader);
	return false;
}

bool pt_placer_take(struct pt_placer *p, struct pt_depot *depot,
		    const struct pt_rx_frame *frame, struct pt_reader *reader,
		    __u32 credit_desc)
{
	struct pt_parcel *parcel;

	if (!p->apart) {
		read_lock(p);
		place_one(p, reader);
		return false;
	}
	parcel = pt_depot_take(depot, frame);
	parcel->credit_desc = credit_desc;
	if (p->taken)
		p->taken_last->next = parcel;
	else
		p->taken = parcel;
	p->taken_last = parcel;
	p->given_desc += credit_desc;
	atomic_fetch_add_explicit(&p->given_cnt, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->held_cnt, frame->span_cnt,
				  memory_order_relaxed);
	return true;
}

void pt_placer_push(struct pt_placer *p, __u64 taken_end)
{
	if (p->is_reading) {
		flush(p);
		pthread_rwlock_unlock(&p->lane->intake->place_lock);
		p->is_reading = false;
	}
	if (!p->taken)
		return;
	p->taken_last->placed_upto = taken_end;	/* it covers all so far */
	pthread_mutex_lock(&p->lock);
	*p->end = p->taken;
	p->end = &p->taken_last->next;
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->lock);
	p->taken = NULL;
}

/* --- for the placer's thread ----------------------------------------- */

/* done gives placed or dropped parcels back and counts them, in this order: their
 * credit must not be reported before their chunks are back.  The queue's thread
 * may look between both, so it is told again. */
static void done(struct pt_placer *p, struct pt_parcel *first)
{
	struct pt_depot *depot = NULL;	/* of the lane's present queue */
	__u32 held_cnt = 0, frame_cnt = 0;
	__u64 desc = 0, placed_upto = 0;

	for (const struct pt_parcel *at = first; at; at = at->next) {
		held_cnt += at->frame.span_cnt;
		frame_cnt++;
		desc += at->credit_desc;
		if (at->placed_upto)
			placed_upto = at->placed_upto;
		depot = at->depot;
	}
	pt_parcels_give_back(first);
	atomic_fetch_sub_explicit(&p->held_cnt, held_cnt, memory_order_relaxed);
	if (placed_upto)
		atomic_store_explicit(&p->placed_upto, placed_upto,
				      memory_order_release);
	atomic_fetch_add_explicit(&p->placed_desc, desc, memory_order_release);
	/* Last: a thread that finds the placer idle sees all other changes. */
	atomic_fetch_add_explicit(&p->placed_cnt, frame_cnt,
				  memory_order_release);
	if (depot)		/* else nothing waited when it was stopped */
		pt_depot_tell(depot);
}

/* size_of returns the parcel's part of a batch.  A late frame has no credit. */
static __u32 size_of(const struct pt_parcel *parcel)
{
	__u32 span_cnt = parcel->frame.span_cnt;

	return parcel->credit_desc > span_cnt ? parcel->credit_desc : span_cnt;
}

/* batch_get waits for frames to place; NULL: stop. */
static struct pt_parcel *batch_get(struct pt_placer *p)
{
	struct pt_parcel *first, *last;
	__u32 desc = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->first && !atomic_load(&p->stop))
		pthread_cond_wait(&p->given, &p->lock);
	first = last = p->first;
	while (last) {
		desc += size_of(last);
		if (!last->next || desc >= BATCH_DESC)
			break;
		last = last->next;
	}
	if (last) {
		p->first = last->next;
		last->next = NULL;
	}
	if (!p->first)
		p->end = &p->first;
	pthread_mutex_unlock(&p->lock);
	return first;
}

static void batch_place(struct pt_placer *p, const struct pt_parcel *parcel)
{
	const struct pt_intake *intake = p->lane->intake;

	for (; parcel; parcel = parcel->next) {
		if (atomic_load(&p->stop) || atomic_load(&intake->failed))
			return;
		/* The queue's thread has judged it before. */
		pt_reader_open_again(&p->reader, parcel->frame.spans,
				     parcel->frame.span_cnt);
		place_one(p, &p->reader);
	}
}

static void *placer_main(void *arg)
{
	struct pt_placer *p = arg;
	struct pt_intake *intake = p->lane->intake;
	struct pt_stage_clock *clock = intake->is_profiled ? &p->clock : NULL;
	struct pt_parcel *batch;
	__u64 placed_sz;

	pt_stage_start(clock, PT_RECEIVE_STAGE_IDLE);
	while ((batch = batch_get(p))) {
		pt_stage_enter(clock, PT_RECEIVE_STAGE_PLACE);
		placed_sz = atomic_load(&p->lane->placed.bytes);
		atomic_store(&p->since_ns, pt_clock_ns());
		pthread_rwlock_rdlock(&intake->place_lock);
		batch_place(p, batch);
		flush(p);
		pthread_rwlock_unlock(&intake->place_lock);
		atomic_store(&p->since_ns, 0);
		pt_stage_bytes(clock, PT_RECEIVE_STAGE_PLACE,
			       atomic_load(&p->lane->placed.bytes) - placed_sz);
		done(p, batch);
		pt_stage_enter(clock, PT_RECEIVE_STAGE_IDLE);
	}
	pt_stage_stop(clock);
	return NULL;
}

/* --- for all --------------------------------------------------------- */

bool pt_placer_is_idle(const struct pt_placer *p)
{
	return atomic_load_explicit(&p->placed_cnt, memory_order_acquire) ==
	       atomic_load_explicit(&p->given_cnt, memory_order_relaxed);
}

__u32 pt_placer_held_cnt(const struct pt_placer *p)
{
	return atomic_load_explicit(&p->held_cnt, memory_order_relaxed);
}

__u32 pt_placer_waiting_desc(const struct pt_placer *p)
{
	return p->given_desc - atomic_load_explicit(&p->placed_desc,
						    memory_order_acquire);
}

__u64 pt_placer_placed_upto(const struct pt_placer *p)
{
	return atomic_load_explicit(&p->placed_upto, memory_order_acquire);
}

__u64 pt_placer_since_ns(const struct pt_placer *p)
{
	return atomic_load(&p->since_ns);
}

void pt_placer_profile(const struct pt_placer *p, struct pt_profile *out)
{
	__u64 started_ns = atomic_load(&p->clock.started_ns);
	__u64 stopped_ns = atomic_load(&p->clock.stopped_ns);

	if (!started_ns)
		return;
	out->thread_cnt++;
	out->time_ns += (stopped_ns ? stopped_ns : pt_clock_ns()) - started_ns;
	pt_stage_look(&p->clock, out->stages);
}

/* --- life ------------------------------------------------------------ */

int pt_placer_create(struct pt_placer **out, struct pt_rx_lane *lane,
		     bool apart)
{
	/* calloc(3) does not respect its alignment, but would not touch an
	 * unused run. */
	struct pt_placer *p = aligned_alloc(_Alignof(struct pt_placer),
					    sizeof(*p));
	struct pt_sink_run *run = calloc(1, sizeof(*run));
	struct pt_decompressor *decompressor = NULL, *trial = NULL;
	int ret = p && run ? 0 : -ENOMEM;

	if (!ret && lane->intake->compressions)
		ret = pt_decompressor_create(&decompressor);
	if (!ret && decompressor && apart && !lane->intake->is_sealed)
		ret = pt_decompressor_create(&trial);
	if (ret) {
		pt_decompressor_destroy(decompressor);
		free(run);
		free(p);
		return ret;
	}
	memset(p, 0, sizeof(*p));
	p->run = run;
	p->decompressor = decompressor;
	p->trial = trial;
	p->lane = lane;
	p->apart = apart;
	p->end = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->given, NULL);
	ret = apart ? pt_thread_start(&p->thread, placer_main, p, "pt-placer")
		    : 0;
	if (ret) {
		p->apart = false;
		pt_placer_destroy(p);
		return ret;
	}
	*out = p;
	return 0;
}

void pt_placer_stop(struct pt_placer *p)
{
	struct pt_parcel *dropped;

	pthread_mutex_lock(&p->lock);
	atomic_store(&p->stop, true);
	dropped = p->first;
	p->first = NULL;
	p->end = &p->first;
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->lock);
	done(p, dropped);
}

void pt_placer_destroy(struct pt_placer *p)
{
	if (!p)
		return;
	if (p->apart) {
		pt_placer_stop(p);
		pthread_join(p->thread, NULL);
	}
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->lock);
	pt_decompressor_destroy(p->decompressor);
	pt_decompressor_destroy(p->trial);
	free(p->run);
	free(p);
}
