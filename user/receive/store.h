/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* store: a thread that does, in order, what may wait for storage, so that control
 * does not: to make, read, sync, name and remove files.
 *
 *     open --> put, put, ... --> end (one last job) --> is_over --> close
 *
 * After a job fails, none that waits is done; the last one always is.
 *
 * Bound: has_room tells when not to put more; control then reads no more from
 * the session's connection.
 * Threads: jobs in its own; all else by one thread, control's.
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

/* pt_store_job: bytes are a copy of those put.  -errno, and err. */
typedef int pt_store_job(void *arg, const void *bytes, size_t sz,
			 struct pt_error *err);

/* pt_store_open: wake_fd, an eventfd, is written when nothing waits any more, when
 * a job failed, and when there is room again.  -ENOMEM, -EAGAIN. */
int pt_store_open(struct pt_store **out, void *arg, int wake_fd,
		  struct pt_error *err);

/* pt_store_put has a job done after those put before.  -ENOMEM. */
int pt_store_put(struct pt_store *s, pt_store_job *job, const void *bytes,
		 size_t sz, struct pt_error *err);

bool pt_store_has_room(const struct pt_store *s);

/* pt_store_is_idle: all that was put is done, or dropped. */
bool pt_store_is_idle(const struct pt_store *s);

/* pt_store_failed: what the first job that failed returned, and said; or 0. */
int pt_store_failed(const struct pt_store *s, struct pt_error *err);

/* pt_store_since_ns: when the job began that it is at; 0: it is at none. */
__u64 pt_store_since_ns(const struct pt_store *s);

/* pt_store_end drops what waits, and has one last job done when the one it is at
 * is over.  Waits for nothing. */
void pt_store_end(struct pt_store *s, pt_store_job *last);
bool pt_store_is_over(const struct pt_store *s);

/* pt_store_close waits for its thread, and frees.  NULL is fine. */
void pt_store_close(struct pt_store *s);

#endif
