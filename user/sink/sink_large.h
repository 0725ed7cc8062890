/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_large: has a sink stand in large pages where the source does.
 *
 *     fit --> begin --> place, zero: pt_sink_large_ready first --> finish --> close
 *               `-- thread: builds all units that are wanted, in order --'
 *
 * A unit that is wanted (memory/large.h) is built before its first byte is placed: by
 * the thread or, if that is not there yet, by the placer.  Building makes one large
 * page of it, zero where nothing was.  Such a unit gets its zero pages as zeroes: a
 * hole in it would take the large page apart.  A unit that cannot be built is filled
 * with small pages, and counted.
 *
 * Threads: as for any sink; begin, finish, count and end: one at a time.
 * Memory: 1 bit a unit.
 */
#ifndef SINK_SINK_LARGE_H
#define SINK_SINK_LARGE_H

#include "memory/large.h"
#include "sink/sink.h"

/* pt_sink_large_count: the units of a sink. */
struct pt_sink_large_count {
	bool is_counted;	/* else: /proc is closed to us, or Linux before 6.7 */
	__u64 large_cnt;	/* of those wanted, that are large pages */
	__u64 unmapped_cnt;	/* pages with data that the memory's owner has not
				 * mapped; of a guest's memory alone */
	__u64 build_ns;		/* time that building took, of all threads */
	int failure;		/* of the last that could not be built: -errno;
				 * 0: none failed */
};

/* pt_sink_large_begin: after pt_sink_fit; want is the caller's, and outlives the sink.
 * A sink that cannot build large pages does nothing.
 *   -ENOMEM, -EAGAIN   no memory, no thread */
int pt_sink_large_begin(struct pt_sink *s, const struct pt_large *want,
			struct pt_error *err);

/* pt_sink_large_ready: sz bytes from off on can be written.  For the kinds of sinks.
 * Inside of a pt_guard: the lock that it takes is held during system calls only. */
void pt_sink_large_ready(struct pt_sink *s, __u64 off, __u64 sz);

/* pt_sink_large_is_built: the sink builds large pages. */
bool pt_sink_large_is_built(const struct pt_sink *s);

/* pt_sink_large_wants: sz bytes from off on touch a unit that is wanted. */
bool pt_sink_large_wants(const struct pt_sink *s, __u64 off, __u64 sz);

/* pt_sink_large_finish waits until all is built. */
void pt_sink_large_finish(struct pt_sink *s);

void pt_sink_large_count(const struct pt_sink *s,
			 struct pt_sink_large_count *out);

/* pt_sink_large_end stops building, and frees. */
void pt_sink_large_end(struct pt_sink *s);

#endif
