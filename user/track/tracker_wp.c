// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* By write protection, in each process that maps the memory. */
#include "track/tracker_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "track/enter.h"
#include "track/watched.h"

struct by_wp {
	struct pt_tracker tracker;
	struct pt_watched target;
	struct pt_watched *others;	/* processes that map it, too */
	__u32 other_cnt;
	const struct pt_track_moments *moments;
};

static void moment(const struct by_wp *w, unsigned int moment)
{
	if (w->moments)
		w->moments->at(w->moments->arg, moment);
}

/* open_uffd returns a userfaultfd of the process. */
static int open_uffd(const struct by_wp *w, pid_t pid, struct pt_error *err)
{
	int fd;

	if (pid != getpid())
		return pt_enter(pid, w->moments, err);
	fd = pt_wp_uffd();
	return fd >= 0 ? fd : pt_error_set(err, PT_EXIT_HOST, fd,
					   "userfaultfd: %s", strerror(-fd));
}

/* process_open enters the process. */
static int process_open(const struct by_wp *w, struct pt_watched *p, pid_t pid,
			struct pt_error *err)
{
	int code = pt_watched_open(p, pid, err);
	int uffd;

	if (code)
		return code;
	uffd = open_uffd(w, pid, err);
	if (uffd < 0) {
		pt_watched_close(p);
		return uffd;
	}
	code = pt_wp_open(&p->wp, pid, uffd, err);
	p->has_wp = !code;
	if (code)
		pt_watched_close(p);
	return code;
}

/* --- other mappers ---------------------------------------------------- */

static struct pt_watched *watched_of(struct by_wp *w, pid_t pid)
{
	if (w->target.pid == pid)
		return &w->target;
	for (__u32 i = 0; i < w->other_cnt; i++)
		if (w->others[i].pid == pid)
			return &w->others[i];
	return NULL;
}

static bool is_same_memory(const struct by_wp *w, pid_t pid)
{
	bool is_same = pt_same_memory(pid, w->target.pid);

	for (__u32 i = 0; !is_same && i < w->other_cnt; i++)
		is_same = pt_same_memory(pid, w->others[i].pid);
	return is_same;
}

static int mapper_add(struct by_wp *w, pid_t pid, struct pt_watched **out,
		      struct pt_error *err)
{
	struct pt_error why = { 0 };
	struct pt_watched *others;
	int code;

	others = reallocarray(w->others, w->other_cnt + 1, sizeof(*others));
	if (!others)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for another process");
	w->others = others;
	code = process_open(w, &others[w->other_cnt], pid, &why);
	if (code == -ESRCH)
		return 0;	/* with its mappings */
	if (code)
		return pt_error_set(err, why.exit, code, "process %d maps the "
				    "memory, too, and cannot be watched: %.300s",
				    pid, why.text);
	*out = &others[w->other_cnt++];
	return 0;
}

/* mapper_take watches the pieces that a process has mapped, of which it may
 * have some already. */
static int mapper_take(struct by_wp *w, const struct pt_pieces *found,
		       pid_t pid, struct pt_error *err)
{
	struct pt_watched *p = watched_of(w, pid);
	int code = 0;

	for (__u32 i = 0; !code && i < found->cnt; i++) {
		const struct pt_piece_wp *piece = &found->all[i];

		if (p && pt_watched_has(p, piece))
			continue;
		if (!p && is_same_memory(w, pid))
			return 0;
		if (!p)
			code = mapper_add(w, pid, &p, err);
		if (!p)
			return code;
		code = pt_watched_add(p, piece, w->tracker.is_armed, err);
	}
	return code;
}

static int wp_review(struct pt_tracker *t, struct pt_error *err)
{
	struct by_wp *w = (struct by_wp *)t;
	struct pt_processes all = { 0 };
	int code = pt_processes_open(&all, err);
	pid_t pid;

	while (!code && (pid = pt_processes_next(&all)) > 0) {
		struct pt_pieces found = { 0 };

		code = pt_pieces_shared(&found, &w->target.pieces, pid, err);
		if (code == -EACCES) {
			w->tracker.misses |= PT_TRACK_MISSES_MAPPERS;
			code = 0;
		}
		if (!code)
			code = mapper_take(w, &found, pid, err);
		free(found.all);
	}
	pt_processes_close(&all);
	return code;
}

/* --- arm and collect -------------------------------------------------- */

static int wp_arm(struct pt_tracker *t, struct pt_error *err)
{
	struct by_wp *w = (struct by_wp *)t;
	int code = pt_watched_arm(&w->target, err);

	for (__u32 i = 0; !code && i < w->other_cnt; i++)
		code = pt_watched_arm(&w->others[i], err);
	moment(w, PT_TRACK_MOMENT_ARMED);
	return code;
}

static int wp_collect(struct pt_tracker *t, const struct pt_track_to *to,
		      struct pt_error *err)
{
	struct by_wp *w = (struct by_wp *)t;
	__u32 kept = 0;
	int code;

	for (__u32 i = 0; i < w->other_cnt; i++) {
		struct pt_watched *p = &w->others[i];

		pt_watched_collect(p, to, NULL);
		if (p->pieces.cnt)
			w->others[kept++] = *p;
		else
			pt_watched_close(p);
	}
	w->other_cnt = kept;
	code = pt_watched_collect(&w->target, to, err);
	moment(w, PT_TRACK_MOMENT_COLLECTED);
	return code;
}

static void wp_close(struct pt_tracker *t)
{
	struct by_wp *w = (struct by_wp *)t;

	for (__u32 i = 0; i < w->other_cnt; i++)
		pt_watched_close(&w->others[i]);
	pt_watched_close(&w->target);
	free(w->others);
	free(w);
}

static const struct pt_tracker_ops wp_ops = {
	.name = "wp-async",
	.arm = wp_arm,
	.review = wp_review,
	.collect = wp_collect,
	.close = wp_close,
};

static const struct pt_tracker_ops own_ops = {
	.name = "own",
	.arm = wp_arm,
	.review = wp_review,
	.collect = wp_collect,
	.close = wp_close,
};

static int target_open(struct by_wp *w, pid_t pid,
		       const struct pt_track_range *ranges, __u32 cnt,
		       struct pt_error *err)
{
	struct pt_pieces pieces = { 0 };
	int code = process_open(w, &w->target, pid, err);

	if (!code)
		code = pt_pieces_of(&pieces, &w->target, ranges, cnt, err);
	for (__u32 i = 0; !code && i < pieces.cnt; i++)
		code = pt_watched_add(&w->target, &pieces.all[i], false, err);
	free(pieces.all);
	moment(w, PT_TRACK_MOMENT_REGISTERED);
	return code ? code : wp_review(&w->tracker, err);
}

int pt_tracker_open_wp(struct pt_tracker **out, pid_t pid,
		       const struct pt_track_range *ranges, __u32 cnt,
		       const struct pt_track_moments *moments,
		       struct pt_error *err)
{
	struct by_wp *w;
	int code = pt_wp_offered(err);

	if (code)
		return code;
	if (!cnt)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "no memory to watch");
	w = calloc(1, sizeof(*w));
	if (!w)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for a tracker");
	w->tracker.ops = pid == getpid() ? &own_ops : &wp_ops;
	w->tracker.misses = PT_TRACK_MISSES_HOLES | PT_TRACK_MISSES_IN_FLIGHT |
			    PT_TRACK_MISSES_FILE_WRITES;
	w->moments = moments;
	code = target_open(w, pid, ranges, cnt, err);
	if (code) {
		wp_close(&w->tracker);
		return code;
	}
	*out = &w->tracker;
	return 0;
}
