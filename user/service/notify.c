/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "service/notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef PT_WITH_systemd
#include <systemd/sd-daemon.h>
#endif

#include <pagetrim/clock.h>
#include "base/thread.h"

#define TEXTS_MAX	16	/* queued */
#define CLOSE_MS	1000
#define LATE_PART	8	/* of a beat's time: a proof of life that was
				 * due is looked for that often */
#define MORE_TIME	"EXTEND_TIMEOUT_USEC=30000000"
#define MORE_TIME_NS	10000000000ULL	/* between two of them */

/* beat: a text that is sent again and again, while the caller's loop lives. */
struct beat {
	const char *text;
	__u64 every_ns;			/* 0: not sent */
	__u64 due_ns;
	unsigned long seen;		/* of lives */
};

enum { WATCHDOG, STAYS, BEAT_CNT };

struct pt_notify {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool has_thread, is_closing, has_ended;
	char texts[TEXTS_MAX][PT_NOTIFY_TEXT_SZ];
	unsigned first, cnt;		/* of texts */
	struct beat beats[BEAT_CNT];
	atomic_ulong lives;		/* calls of pt_notify_alive */
};

#ifdef PT_WITH_systemd
bool pt_notify_is_built(void)
{
	return true;
}

static bool is_wanted(__u64 *watchdog_ns)
{
	const char *path = getenv("NOTIFY_SOCKET");
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) > 0)
		*watchdog_ns = usec * 1000;
	return path && path[0];
}

static void send_text(const char *text)
{
	sd_notify(0, text);
}
#else
bool pt_notify_is_built(void)
{
	return false;
}

static bool is_wanted(__u64 *watchdog_ns)
{
	(void)watchdog_ns;
	return false;
}

static void send_text(const char *text)
{
	(void)text;
}
#endif

int pt_notify_open(struct pt_notify **out, struct pt_error *err)
{
	struct pt_notify *n;
	__u64 watchdog_ns = 0;

	*out = NULL;
	if (!is_wanted(&watchdog_ns))
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	n->beats[WATCHDOG] = (struct beat){
		.text = "WATCHDOG=1", .every_ns = watchdog_ns / 2,
	};
	n->beats[STAYS] = (struct beat){ .text = MORE_TIME };
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->changed, NULL);
	*out = n;
	return 0;
}

/* send_first sends the oldest text.  The lock is released meanwhile. */
static void send_first(struct pt_notify *n)
{
	char text[PT_NOTIFY_TEXT_SZ];

	memcpy(text, n->texts[n->first], sizeof(text));
	n->first = (n->first + 1) % TEXTS_MAX;
	n->cnt--;
	pthread_mutex_unlock(&n->lock);
	send_text(text);
	pthread_mutex_lock(&n->lock);
}

/* next_beat returns the one that is due first; NULL: none is sent. */
static struct beat *next_beat(struct pt_notify *n)
{
	struct beat *first = NULL;

	for (int i = 0; i < BEAT_CNT; i++)
		if (n->beats[i].every_ns &&
		    (!first || n->beats[i].due_ns < first->due_ns))
			first = &n->beats[i];
	return first;
}

/* send_beat sends the text if the loop has lived since the last one, and notes
 * when to look again.  The lock is released meanwhile. */
static void send_beat(struct pt_notify *n, struct beat *b)
{
	unsigned long lives = atomic_load(&n->lives);

	if (lives == b->seen) {
		b->due_ns = pt_clock_ns() + b->every_ns / LATE_PART;
		return;
	}
	b->seen = lives;
	b->due_ns = pt_clock_ns() + b->every_ns;
	pthread_mutex_unlock(&n->lock);
	send_text(b->text);
	pthread_mutex_lock(&n->lock);
}

static void *notify_main(void *arg)
{
	struct pt_notify *n = arg;
	struct beat *b;

	pthread_mutex_lock(&n->lock);
	while (n->cnt || !n->is_closing) {
		b = next_beat(n);
		if (n->cnt)
			send_first(n);
		else if (b && pt_clock_ns() >= b->due_ns)
			send_beat(n, b);
		else if (b)
			pt_thread_wait(&n->changed, &n->lock, b->due_ns);
		else
			pthread_cond_wait(&n->changed, &n->lock);
	}
	n->has_ended = true;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

int pt_notify_start(struct pt_notify *n, struct pt_error *err)
{
	int ret;

	if (!n)
		return 0;
	ret = pt_thread_start(&n->thread, notify_main, n, "pt-notify");
	n->has_thread = !ret;
	return ret ? pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a "
				  "thread: %s (memory, ulimit -u or pids.max)",
				  strerror(-ret)) : 0;
}

static bool is_status(const char *text)
{
	return !strncmp(text, "STATUS=", 7);
}

/* place returns where the text goes.  A status replaces one that was not sent
 * yet, and where there is no room the oldest text goes: the latest counts. */
static char *place(struct pt_notify *n, const char *text)
{
	char *last = n->texts[(n->first + n->cnt - 1) % TEXTS_MAX];

	if (n->cnt && is_status(text) && is_status(last))
		return last;
	if (n->cnt == TEXTS_MAX) {
		n->first = (n->first + 1) % TEXTS_MAX;
		n->cnt--;
	}
	return n->texts[(n->first + n->cnt++) % TEXTS_MAX];
}

void pt_notify_say(struct pt_notify *n, const char *fmt, ...)
{
	char text[PT_NOTIFY_TEXT_SZ];
	va_list args;

	if (!n)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pthread_mutex_lock(&n->lock);
	strcpy(place(n, text), text);
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
}

void pt_notify_stays(struct pt_notify *n, bool stays)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->beats[STAYS].every_ns = stays ? MORE_TIME_NS : 0;
	n->beats[STAYS].due_ns = 0;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
}

void pt_notify_reloading(struct pt_notify *n)
{
	pt_notify_say(n, "RELOADING=1\nMONOTONIC_USEC=%llu",
		      (unsigned long long)pt_clock_ns() / 1000);
}

void pt_notify_alive(struct pt_notify *n)
{
	if (n)
		atomic_fetch_add(&n->lives, 1);
}

void pt_notify_close(struct pt_notify *n)
{
	__u64 until_ns = pt_deadline_ns(CLOSE_MS);
	bool is_used;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->is_closing = true;
	pthread_cond_broadcast(&n->changed);
	while (n->has_thread && !n->has_ended &&
	       pt_thread_wait(&n->changed, &n->lock, until_ns))
		;
	is_used = n->has_thread && !n->has_ended;
	pthread_mutex_unlock(&n->lock);
	if (is_used)
		return;
	if (n->has_thread)
		pthread_join(n->thread, NULL);
	pthread_cond_destroy(&n->changed);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
