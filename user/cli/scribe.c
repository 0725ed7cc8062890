/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/scribe.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"

#define PIECE_SZ	4096	/* of a write: copied out under the lock */

struct head {
	__s32 fd;
	__u32 text_sz;
};

#define ROOM_FOR_NOTE	(PT_SCRIBE_NOTE_SZ + sizeof(struct head))

/* The ring holds the bytes [first, end), modulo its size, in texts: a head,
 * then the text.  first and end count all bytes since the start. */
struct pt_scribe {
	struct pt_scribe_cfg cfg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	__u64 first, end;
	__u64 dropped_cnt;	/* texts, since the last note */
	bool is_writing, is_closing;
	bool is_abandoned;	/* the thread frees the scribe */
	int failure[3];		/* errno of a write, by descriptor; 0: none */
	char ring[PT_SCRIBE_SZ];
};

_Static_assert(!(PT_SCRIBE_SZ & (PT_SCRIBE_SZ - 1)), "offsets wrap with it");

static size_t until_wrap(__u64 at, size_t sz)
{
	size_t left = PT_SCRIBE_SZ - at % PT_SCRIBE_SZ;

	return sz < left ? sz : left;
}

static void ring_put(struct pt_scribe *s, const void *bytes, size_t sz)
{
	size_t part = until_wrap(s->end, sz);

	memcpy(s->ring + s->end % PT_SCRIBE_SZ, bytes, part);
	memcpy(s->ring, (const char *)bytes + part, sz - part);
	s->end += sz;
}

static void ring_take(struct pt_scribe *s, void *bytes, size_t sz)
{
	size_t part = until_wrap(s->first, sz);

	memcpy(bytes, s->ring + s->first % PT_SCRIBE_SZ, part);
	memcpy((char *)bytes + part, s->ring, sz - part);
	s->first += sz;
}

static bool fits(const struct pt_scribe *s, size_t sz)
{
	size_t left = PT_SCRIBE_SZ - (s->end - s->first);

	return sz <= left && left - sz >= sizeof(struct head);
}

static void put_text(struct pt_scribe *s, int fd, const void *text, size_t sz)
{
	const struct head head = { .fd = fd, .text_sz = sz };

	if (!sz)
		return;
	ring_put(s, &head, sizeof(head));
	ring_put(s, text, sz);
	pthread_cond_broadcast(&s->changed);
}

/* put_noted queues the pending note and the text, or neither. */
static bool put_noted(struct pt_scribe *s, int fd, const void *text, size_t sz)
{
	char note[PT_SCRIBE_NOTE_SZ];
	int note_sz = 0;

	if (!fits(s, s->dropped_cnt ? ROOM_FOR_NOTE + sz : sz))
		return false;
	if (s->dropped_cnt)
		note_sz = s->cfg.note(note, sizeof(note), s->dropped_cnt);
	s->dropped_cnt = 0;
	if (note_sz > 0 && note_sz < (int)sizeof(note))
		put_text(s, s->cfg.note_fd, note, note_sz);
	put_text(s, fd, text, sz);
	return true;
}

/* write_all polls a nonblocking descriptor; another process that shares it may
 * have made it so.  It returns 0 or errno. */
static int write_all(int fd, const char *bytes, size_t sz)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t done;

	while (sz) {
		done = write(fd, bytes, sz);
		if (done < 0 && errno == EAGAIN) {
			poll(&pfd, 1, -1);
			continue;
		}
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? errno : EIO;
		bytes += done;
		sz -= done;
	}
	return 0;
}

/* write_text unlocks the lock while it writes.  It skips the rest of a text
 * that cannot be written. */
static void write_text(struct pt_scribe *s)
{
	char piece[PIECE_SZ];
	struct head head;
	int code = 0;
	size_t sz;

	ring_take(s, &head, sizeof(head));
	while (head.text_sz) {
		sz = head.text_sz < PIECE_SZ ? head.text_sz : PIECE_SZ;
		ring_take(s, piece, sz);
		head.text_sz -= sz;
		if (code)
			continue;
		s->is_writing = true;
		pthread_mutex_unlock(&s->lock);
		code = write_all(head.fd, piece, sz);
		pthread_mutex_lock(&s->lock);
		s->is_writing = false;
	}
	if (code && head.fd >= 0 && head.fd < 3)
		s->failure[head.fd] = code;
}

static void scribe_free(struct pt_scribe *s)
{
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void *scribe_main(void *arg)
{
	struct pt_scribe *s = arg;
	bool is_abandoned;

	pthread_mutex_lock(&s->lock);
	while (!s->is_closing || s->first != s->end) {
		if (s->first == s->end)
			pthread_cond_wait(&s->changed, &s->lock);
		else
			write_text(s);
		if (s->first == s->end) {
			/* An empty ring restarts at 0, to touch few pages. */
			s->first = s->end = 0;
			pthread_cond_broadcast(&s->changed);
		}
	}
	is_abandoned = s->is_abandoned;
	pthread_mutex_unlock(&s->lock);
	if (is_abandoned)
		scribe_free(s);
	return NULL;
}

int pt_scribe_open(struct pt_scribe **out, const struct pt_scribe_cfg *cfg)
{
	struct pt_scribe *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;
	int ret;

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	ret = pt_thread_start(&s->thread, scribe_main, s, "pt-scribe");
	if (ret) {
		free(s);
		return ret;
	}
	*out = s;
	return 0;
}

void pt_scribe_put(struct pt_scribe *s, int fd, const void *text, size_t sz)
{
	if (!sz)
		return;
	pthread_mutex_lock(&s->lock);
	if (!put_noted(s, fd, text, sz))
		s->dropped_cnt++;
	pthread_mutex_unlock(&s->lock);
}

static bool is_idle(const struct pt_scribe *s)
{
	return s->first == s->end && !s->is_writing;
}

bool pt_scribe_is_idle(struct pt_scribe *s)
{
	bool idle;

	pthread_mutex_lock(&s->lock);
	idle = is_idle(s);
	pthread_mutex_unlock(&s->lock);
	return idle;
}

/* wait_until needs the lock. */
static bool wait_until(struct pt_scribe *s, __u64 deadline_ns)
{
	const struct timespec deadline = {
		.tv_sec = deadline_ns / 1000000000,
		.tv_nsec = deadline_ns % 1000000000,
	};

	while (!is_idle(s))
		if (pthread_cond_timedwait(&s->changed, &s->lock, &deadline))
			break;
	return is_idle(s);
}

bool pt_scribe_wait(struct pt_scribe *s, int timeout_ms)
{
	__u64 deadline_ns = pt_deadline_ns(timeout_ms);
	bool idle;

	pthread_mutex_lock(&s->lock);
	idle = wait_until(s, deadline_ns);
	pthread_mutex_unlock(&s->lock);
	return idle;
}

int pt_scribe_failure(struct pt_scribe *s, int fd)
{
	int code;

	pthread_mutex_lock(&s->lock);
	code = s->failure[fd];
	pthread_mutex_unlock(&s->lock);
	return code;
}

bool pt_scribe_close(struct pt_scribe *s, int timeout_ms)
{
	__u64 deadline_ns = pt_deadline_ns(timeout_ms);
	pthread_t thread = s->thread;
	bool idle;

	pthread_mutex_lock(&s->lock);
	idle = wait_until(s, deadline_ns);
	if (idle && s->dropped_cnt) {
		put_noted(s, s->cfg.note_fd, "", 0);
		idle = wait_until(s, deadline_ns);
	}
	s->is_closing = true;
	s->is_abandoned = !idle;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (!idle) {
		pthread_detach(thread);
		return false;
	}
	pthread_join(thread, NULL);
	scribe_free(s);
	return true;
}
