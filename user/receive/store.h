/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* store: a thread that does, in order, the jobs that may wait for storage,
 * instead of control: to create, read, sync, rename and remove files.
 *
 *     open --> put, put, ... --> end (one last job) --> is_over --> close
 *
 * After a job fails, the waiting jobs are dropped; the last one is always done.
 *
 * Bound: if has_room is false, control puts no more jobs and stops reading the
 * session's connection.  Threads: jobs run in its own; control calls everything
 * else.
 */
#ifndef RECEIVE_STORE_H
#define RECEIVE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include <pagetrim/error.h>

#define PT_STORE_SZ_MAX		(2u << 20)	/* bytes that wait, for has_room */
#define PT_STORE_JOBS_MAX	1024		/* jobs that wait, for has_room */

struct pt_store;

/* pt_store_job: bytes are a copy of the caller's.  Returns -errno, with err. */
typedef int pt_store_job(void *arg, const void *bytes, size_t sz,
			 struct pt_error *err);

/* pt_store_open: wake_fd, an eventfd, is written when no job waits, when a job
 * failed, and when there is room again.  -ENOMEM, -EAGAIN. */
int pt_store_open(struct pt_store **out, void *arg, int wake_fd,
		  struct pt_error *err);

/* pt_store_put queues a job.  -ENOMEM. */
int pt_store_put(struct pt_store *s, pt_store_job *job, const void *bytes,
		 size_t sz, struct pt_error *err);

bool pt_store_has_room(const struct pt_store *s);

/* pt_store_is_idle: all jobs are done, or dropped. */
bool pt_store_is_idle(const struct pt_store *s);

/* pt_store_failed returns the result and err of the first failed job; or 0. */
int pt_store_failed(const struct pt_store *s, struct pt_error *err);

/* pt_store_since_ns returns the start of the present job; 0: there is none. */
__u64 pt_store_since_ns(const struct pt_store *s);

/* pt_store_end drops the waiting jobs, and queues one last job after the
 * present one.  It does not wait. */
void pt_store_end(struct pt_store *s, pt_store_job *last);
bool pt_store_is_over(const struct pt_store *s);

/* pt_store_close waits for its thread, and frees.  NULL is allowed. */
void pt_store_close(struct pt_store *s);

#endif
