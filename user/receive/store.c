/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"

struct job {
	struct job *next;
	pt_store_job *run;
	size_t sz;
	__u8 bytes[];
};

struct pt_store {
	void *arg;
	int wake_fd;
	pthread_t thread;

	/* The lock protects the rest, and is never held during a wait for
	 * storage. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first, **end;
	size_t waiting_sz;
	unsigned int waiting_cnt;
	bool is_full;		/* has_room returned false, and control was not
				 * woken since */
	bool is_working;
	__u64 since_ns;
	int failed;
	struct pt_error error;
	pt_store_job *last;
	bool is_ending, is_over;
};

static bool has_room(const struct pt_store *s)
{
	return s->waiting_sz < PT_STORE_SZ_MAX &&
	       s->waiting_cnt < PT_STORE_JOBS_MAX;
}

static void drop_all(struct pt_store *s)
{
	struct job *job;

	while ((job = s->first)) {
		s->first = job->next;
		free(job);
	}
	s->end = &s->first;
	s->waiting_sz = s->waiting_cnt = 0;
}

/* work does the first job.  The caller holds the lock before and after. */
static void work(struct pt_store *s)
{
	struct job *job = s->first;
	struct pt_error err;
	int ret;

	s->first = job->next;
	if (!s->first)
		s->end = &s->first;
	s->waiting_sz -= job->sz;
	s->waiting_cnt--;
	s->is_working = true;
	s->since_ns = pt_clock_ns();
	pthread_mutex_unlock(&s->lock);
	ret = job->run(s->arg, job->bytes, job->sz, &err);
	free(job);
	pthread_mutex_lock(&s->lock);
	s->is_working = false;
	s->since_ns = 0;
	if (ret && !s->failed) {
		s->failed = ret;
		s->error = err;
	}
	if (s->failed)
		drop_all(s);
	if (!s->first || (s->is_full && has_room(s))) {
		s->is_full = false;
		eventfd_write(s->wake_fd, 1);
	}
}

static void *store_main(void *arg)
{
	struct pt_store *s = arg;
	struct pt_error err;

	pthread_mutex_lock(&s->lock);
	while (!s->is_ending) {
		if (s->first)
			work(s);
		else
			pthread_cond_wait(&s->changed, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	if (s->last)
		s->last(s->arg, NULL, 0, &err);
	pthread_mutex_lock(&s->lock);
	s->is_over = true;
	eventfd_write(s->wake_fd, 1);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int pt_store_open(struct pt_store **out, void *arg, int wake_fd,
		  struct pt_error *err)
{
	struct pt_store *s = calloc(1, sizeof(*s));
	int ret = -ENOMEM;

	if (s) {
		s->arg = arg;
		s->wake_fd = wake_fd;
		s->end = &s->first;
		pthread_mutex_init(&s->lock, NULL);
		pthread_cond_init(&s->changed, NULL);
		ret = pt_thread_start(&s->thread, store_main, s, "pt-store");
	}
	if (!ret) {
		*out = s;
		return 0;
	}
	free(s);
	return pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a thread: %s "
			    "(memory, ulimit -u or pids.max)", strerror(-ret));
}

int pt_store_put(struct pt_store *s, pt_store_job *run, const void *bytes,
		 size_t sz, struct pt_error *err)
{
	struct job *job = malloc(sizeof(*job) + sz);

	if (!job)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for "
				    "%zu bytes that wait for storage", sz);
	job->next = NULL;
	job->run = run;
	job->sz = sz;
	if (sz)
		memcpy(job->bytes, bytes, sz);
	pthread_mutex_lock(&s->lock);
	if (s->failed || s->is_ending) {
		free(job);
	} else {
		*s->end = job;
		s->end = &job->next;
		s->waiting_sz += sz;
		s->waiting_cnt++;
		pthread_cond_signal(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* locked takes the lock of a const store. */
static struct pt_store *locked(const struct pt_store *s)
{
	struct pt_store *mine = (struct pt_store *)s;

	pthread_mutex_lock(&mine->lock);
	return mine;
}

bool pt_store_has_room(const struct pt_store *s)
{
	struct pt_store *mine = locked(s);
	bool room = has_room(s);

	mine->is_full |= !room;
	pthread_mutex_unlock(&mine->lock);
	return room;
}

bool pt_store_is_idle(const struct pt_store *s)
{
	struct pt_store *mine = locked(s);
	bool is_idle = !s->first && !s->is_working;

	pthread_mutex_unlock(&mine->lock);
	return is_idle;
}

int pt_store_failed(const struct pt_store *s, struct pt_error *err)
{
	struct pt_store *mine = locked(s);
	int failed = s->failed;

	if (failed)
		*err = s->error;
	pthread_mutex_unlock(&mine->lock);
	return failed;
}

__u64 pt_store_since_ns(const struct pt_store *s)
{
	struct pt_store *mine = locked(s);
	__u64 since_ns = s->since_ns;

	pthread_mutex_unlock(&mine->lock);
	return since_ns;
}

void pt_store_end(struct pt_store *s, pt_store_job *last)
{
	pthread_mutex_lock(&s->lock);
	if (!s->is_ending) {
		drop_all(s);
		s->last = last;
		s->is_ending = true;
		pthread_cond_signal(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
}

bool pt_store_is_over(const struct pt_store *s)
{
	struct pt_store *mine = locked(s);
	bool is_over = s->is_over;

	pthread_mutex_unlock(&mine->lock);
	return is_over;
}

void pt_store_close(struct pt_store *s)
{
	if (!s)
		return;
	pt_store_end(s, NULL);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
