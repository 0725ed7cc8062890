/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Looks again and again who has the guest's memory mapped, while pages lack. */
#include "postcopy/postcopy_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "base/thread.h"

#define LOOK_MS		1000	/* between looks, at least */
#define PART		20	/* of the time is spent on looks, at most */

static void warn(const struct pt_postcopy *p, const struct pt_error *err)
{
	if (p->cfg.warn)
		p->cfg.warn(p->cfg.arg, err->text);
}

static int look(struct pt_postcopy *p, struct pt_lazy_sight *sight, struct pt_error *err)
{
	int code;

	pthread_mutex_lock(&p->look_lock);
	code = pt_lookout_look(&p->lookout, sight, err);
	pthread_mutex_unlock(&p->look_lock);
	return code;
}

int pt_postcopy_check(struct pt_postcopy *p, struct pt_error *err)
{
	struct pt_lazy_sight sight;
	int code = p->is_armed ? look(p, &sight, err) : 0;

	if (code && err)
		err->exit = PT_EXIT_HOST;	/* no peer is wrong for it */
	return code;
}

/* found: it is told once of each process. */
static void found(struct pt_postcopy *p, const struct pt_lazy_sight *sight)
{
	struct pt_error err;
	char text[sizeof(p->late_mapper)];

	snprintf(text, sizeof(text), "%d (%s)", sight->other, sight->other_name);
	pthread_mutex_lock(&p->ask_lock);
	if (!strcmp(text, p->late_mapper))
		text[0] = '\0';
	else
		strcpy(p->late_mapper, text);
	pthread_mutex_unlock(&p->ask_lock);
	if (!text[0])
		return;
	pt_error_set(&err, PT_EXIT_HOST, -EBUSY, "process %s has mapped the memory of the "
		     "guest that runs: a page that it touches before that has come is "
		     "wrong for both, and is counted (end that process)", text);
	warn(p, &err);
}

/* look_once returns false once there is nobody to look. */
static bool look_once(struct pt_postcopy *p)
{
	struct pt_lazy_sight sight;
	struct pt_error err;
	int code = look(p, &sight, &err);

	if (code == -EBUSY && sight.other)
		found(p, &sight);
	if (code != -EPIPE && code != -ETIMEDOUT)
		return true;
	warn(p, &err);
	return false;
}

static void *watch_main(void *arg)
{
	struct pt_postcopy *p = arg;
	struct pollfd stop = { .fd = p->stop_fd, .events = POLLIN };
	int wait_ms = 0;

	while (!poll(&stop, 1, wait_ms)) {
		__u64 begin_ns = pt_clock_ns();

		/* Before, the guest does not run, and pt_postcopy_check looks. */
		wait_ms = LOOK_MS;
		if (!__atomic_load_n(&p->r->has_run, __ATOMIC_ACQUIRE))
			continue;
		if (!look_once(p))
			return NULL;
		begin_ns = (pt_clock_ns() - begin_ns) * PART / 1000000;
		if (begin_ns > LOOK_MS)
			wait_ms = begin_ns;
	}
	return NULL;
}

int pt_postcopy_watch(struct pt_postcopy *p)
{
	int code = pt_thread_start(&p->watcher, watch_main, p, "pt-watch");

	p->has_watcher = !code;
	return code;
}

void pt_postcopy_watch_end(struct pt_postcopy *p)
{
	if (p->has_watcher)
		pthread_join(p->watcher, NULL);
	p->has_watcher = false;
}
