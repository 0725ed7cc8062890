/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Looks again and again who has the guest's memory mapped, and whether the keeper is there,
 * while pages lack. */
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

static bool has_keeper(const struct pt_postcopy *p)
{
	struct pollfd kept = { .fd = p->kept.connection };

	return !poll(&kept, 1, 0);
}

int pt_postcopy_check(struct pt_postcopy *p, struct pt_error *err)
{
	struct pt_lazy_sight sight;
	int code = p->is_armed ? look(p, &sight, err) : 0;

	if (!code && p->is_armed && !has_keeper(p))
		code = pt_error_set(err, PT_EXIT_HOST, -EPIPE, "the keeper of the guest's "
				    "memory has ended (start QEMU and receive anew at "
				    "the destination)");
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

/* unkept: this process has the only descriptor. */
static void unkept(const struct pt_postcopy *p)
{
	struct pt_error err;

	pt_error_set(&err, PT_EXIT_HOST, -EPIPE, "the keeper of the guest's memory has "
		     "ended: if receive ends, too, before all pages have come, the guest "
		     "reads zeroes (do not end receive)");
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
	struct pollfd fds[] = {
		{ .fd = p->stop_fd, .events = POLLIN },
		{ .fd = -1 },		/* the keeper's connection: it closes */
	};
	bool looks = true, is_kept = true;
	int wait_ms = 0;

	for (;;) {
		__u64 begin_ns;

		poll(fds, 2, wait_ms);
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents) {
			unkept(p);
			is_kept = false;
		}
		begin_ns = pt_clock_ns();
		wait_ms = LOOK_MS;
		/* Before, the guest does not run, and pt_postcopy_check looks. */
		if (!__atomic_load_n(&p->r->has_run, __ATOMIC_ACQUIRE))
			continue;
		fds[1].fd = is_kept ? p->kept.connection : -1;
		looks = looks && look_once(p);
		begin_ns = (pt_clock_ns() - begin_ns) * PART / 1000000;
		if (begin_ns > LOOK_MS)
			wait_ms = begin_ns;
	}
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
