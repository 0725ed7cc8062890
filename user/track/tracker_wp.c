// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* By write protection, in each process that maps the memory. */
#include "track/tracker_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/processes.h"
#include "track/enter.h"
#include "track/watched.h"

#define PASSES_MAX	8	/* over all processes, while new ones appear */
#define CHANGES_MAX	8	/* of a process's mappings, while it is entered */

struct by_wp {
	struct pt_tracker tracker;
	struct pt_watched target;
	struct pt_watched *others;	/* processes that map it, too */
	__u32 other_cnt;
	const struct pt_track_moments *moments;
	bool sees_missing;		/* see pt_wp_offered */
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
		return pt_enter(pid, false, w->moments, err);
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
	p->wp.sees_missing = w->sees_missing;
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
		if (w->others[i].pid == pid && !w->others[i].is_replaced)
			return &w->others[i];
	return NULL;
}

static bool is_same_memory(const struct by_wp *w, pid_t pid)
{
	bool is_same = pt_same_memory(pid, w->target.pid);

	for (__u32 i = 0; !is_same && i < w->other_cnt; i++)
		is_same = !w->others[i].is_replaced &&
			  pt_same_memory(pid, w->others[i].pid);
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
	if (code)
		return pt_error_set(err, why.exit, code, "process %d maps the "
				    "memory, too, and cannot be watched: %.300s",
				    pid, why.text);
	*out = &others[w->other_cnt++];
	return 0;
}

/* pieces_watch watches the pieces that a process has mapped, of which it may
 * have some already.  Returns how many are new, or -errno. */
static int pieces_watch(struct by_wp *w, const struct pt_pieces *found,
			pid_t pid, struct pt_error *err)
{
	struct pt_watched *p = watched_of(w, pid);
	int code = 0, new_cnt = 0;

	/* It called execve(2), or another process has its number now. */
	if (p && found->cnt && p != &w->target && pt_watched_is_gone(p)) {
		p->is_replaced = true;
		p = NULL;
	}
	for (__u32 i = 0; !code && i < found->cnt; i++) {
		const struct pt_piece_wp *piece = &found->all[i];

		if (p && pt_watched_has(p, piece))
			continue;
		if (!p && is_same_memory(w, pid))
			return 0;
		if (!p)
			code = mapper_add(w, pid, &p, err);
		if (!code)
			code = pt_watched_add(p, piece, w->tracker.is_armed,
					      err);
		new_cnt++;
	}
	return code ? code : new_cnt;
}

/* mappings_of lists the pieces that a process has mapped.  A process that ended
 * has none, and so has one that we may not look at, which is noted. */
static int mappings_of(struct by_wp *w, struct pt_pieces *found, pid_t pid,
		       struct pt_error *err)
{
	int code;

	found->cnt = 0;
	code = pt_pieces_shared(found, &w->target.pieces, pid, err);
	if (code != -EACCES)
		return code;
	w->tracker.misses |= PT_TRACK_MISSES_MAPPERS;
	found->cnt = 0;
	return 0;
}

/* mapper_take watches a process if it maps the memory.  It may end, or map
 * something else, at any moment: an error counts only if its mappings are the
 * same after as before. */
static int mapper_take(struct by_wp *w, pid_t pid, struct pt_error *err)
{
	struct pt_pieces found = { 0 }, after = { 0 };
	struct pt_error why = { 0 };
	int code = mappings_of(w, &found, pid, err);
	int failed = -EAGAIN;

	for (int i = 0; !code && found.cnt && i < CHANGES_MAX; i++) {
		failed = pieces_watch(w, &found, pid, &why);
		if (failed >= 0)
			break;
		code = mappings_of(w, &after, pid, err);
		if (!code && pt_pieces_are(&found, &after))
			code = pt_error_set(err, why.exit, failed, "%s",
					    why.text);
		pt_pieces_swap(&found, &after);
	}
	if (!code && found.cnt && failed < 0)	/* it changes all the time */
		w->tracker.misses |= PT_TRACK_MISSES_MAPPERS;
	free(found.all);
	free(after.all);
	return code ? code : failed > 0 ? failed : 0;
}

/* pass looks at each process once.  Returns how many pieces are new. */
static int pass(struct by_wp *w, struct pt_error *err)
{
	struct pt_processes all = { 0 };
	int code = pt_processes_open(&all, err);
	int new_cnt = 0;
	pid_t pid;

	while (code >= 0 && (pid = pt_processes_next(&all)) > 0) {
		code = mapper_take(w, pid, err);
		new_cnt += code > 0 ? code : 0;
	}
	if (code >= 0 && !pt_processes_are_all(&all))
		w->tracker.misses |= PT_TRACK_MISSES_MAPPERS;
	pt_processes_close(&all);
	return code < 0 ? code : new_cnt;
}

/* is_loose: all of the memory is private, so that no other process maps it. */
static bool is_loose(const struct by_wp *w)
{
	for (__u32 i = 0; i < w->target.pieces.cnt; i++)
		if (!w->target.pieces.all[i].may_go)
			return false;
	return true;
}

/* wp_review: a process that is found may have forked a moment before it was
 * watched, and its child may have a number that the pass is beyond. */
static int wp_review(struct pt_tracker *t, struct pt_error *err)
{
	struct by_wp *w = (struct by_wp *)t;

	if (is_loose(w))
		return 0;
	for (int i = 0; i < PASSES_MAX; i++) {
		int code = pass(w, err);

		if (code <= 0)
			return code;
	}
	w->tracker.misses |= PT_TRACK_MISSES_MAPPERS;
	return 0;
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

/* is_in: *next is the first range that ends above the last piece; both ascend. */
static bool is_in(const struct pt_track_range *ranges, __u32 cnt, __u32 *next,
		  const struct pt_mapping *at)
{
	__u64 from = at->start;

	while (*next < cnt && ranges[*next].addr + ranges[*next].sz <= from)
		++*next;
	for (__u32 i = *next; i < cnt && from < at->end &&
	     ranges[i].addr <= from; i++)
		from = ranges[i].addr + ranges[i].sz;
	return from >= at->end;
}

static void piece_report(const struct pt_track_to *to,
			 const struct pt_piece_wp *piece)
{
	pt_track_report_coarse(to, piece->page_idx, (piece->at.end -
						     piece->at.start)
						    / PT_PAGE_SZ);
}

/* loose_forget forgets the pieces that are no longer in the ranges: the source does
 * not show them, even if nothing was written. */
static void loose_forget(struct by_wp *w, const struct pt_track_range *ranges,
			 __u32 cnt, const struct pt_track_to *to)
{
	struct pt_pieces *pieces = &w->target.pieces;
	__u32 kept = 0, next = 0;

	for (__u32 i = 0; i < pieces->cnt; i++)
		if (is_in(ranges, cnt, &next, &pieces->all[i].at))
			pieces->all[kept++] = pieces->all[i];
		else
			piece_report(to, &pieces->all[i]);
	pieces->cnt = kept;
}

/* loose_add watches a piece.  Private memory of a file is not watched: the kernel
 * keeps the protection of a copied page that is dropped, so the page changes without
 * a trace, and so does one that was not copied yet when somebody writes the file. */
static int loose_add(struct by_wp *w, const struct pt_piece_wp *piece,
		     struct pt_error *err)
{
	if (piece->at.is_file)
		return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "process "
				    "%d: its private memory of files cannot be "
				    "watched", w->target.pid);
	return pt_watched_add(&w->target, piece, w->tracker.is_armed, err);
}

/* loose_take watches the pieces that were found.  to: where memory that cannot be
 * watched is reported; NULL: at the beginning, where nothing was read. */
static int loose_take(struct by_wp *w, const struct pt_pieces *found,
		      const struct pt_track_to *to, struct pt_error *err)
{
	struct pt_error why = { 0 };
	int failed = pt_error_set(&why, PT_EXIT_HOST, -EINVAL, "process %d: "
				  "nothing is mapped that it can write",
				  w->target.pid);
	bool is_fatal = false;

	for (__u32 i = 0; !is_fatal && i < found->cnt; i++) {
		failed = loose_add(w, &found->all[i], &why);
		if (failed && to)
			piece_report(to, &found->all[i]);
		is_fatal = !to && (failed == -EBUSY || failed == -ESRCH);
	}
	if (is_fatal || (!to && !w->target.pieces.cnt))
		return pt_error_set(err, why.exit, failed, "%s", why.text);
	return 0;
}

/* loose_watch watches what no piece has yet; to: as loose_take. */
static int loose_watch(struct by_wp *w, const struct pt_track_range *ranges,
		       __u32 cnt, const struct pt_track_to *to,
		       struct pt_error *err)
{
	struct pt_pieces found = { 0 };
	int code = pt_pieces_lacking(&found, &w->target, ranges, cnt, err);

	if (!code)
		code = loose_take(w, &found, to, err);
	free(found.all);
	return code;
}

static int wp_retarget(struct pt_tracker *t,
		       const struct pt_track_range *ranges, __u32 cnt,
		       const struct pt_track_to *to, struct pt_error *err)
{
	struct by_wp *w = (struct by_wp *)t;

	loose_forget(w, ranges, cnt, to);
	return loose_watch(w, ranges, cnt, to, err);
}

static int wp_collect(struct pt_tracker *t, const struct pt_track_to *to,
		      struct pt_error *err)
{
	struct by_wp *w = (struct by_wp *)t;
	__u32 kept = 0;
	int code;

	for (__u32 i = 0; i < w->other_cnt; i++) {
		struct pt_watched *p = &w->others[i];

		pt_watched_collect(p, &w->target.pieces, to, NULL);
		if (p->pieces.cnt)
			w->others[kept++] = *p;
		else
			pt_watched_close(p);
	}
	w->other_cnt = kept;
	code = pt_watched_collect(&w->target, &w->target.pieces, to, err);
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

static __u32 wp_others(const struct pt_tracker *t)
{
	const struct by_wp *w = (const struct by_wp *)t;
	__u32 cnt = 0;

	for (__u32 i = 0; i < w->other_cnt; i++)
		cnt += !w->others[i].is_replaced;
	return cnt;
}

static const struct pt_tracker_ops wp_ops = {
	.name = "wp-async",
	.arm = wp_arm,
	.review = wp_review,
	.retarget = wp_retarget,
	.collect = wp_collect,
	.others = wp_others,
	.close = wp_close,
};

static const struct pt_tracker_ops own_ops = {
	.name = "own",
	.arm = wp_arm,
	.review = wp_review,
	.retarget = wp_retarget,
	.collect = wp_collect,
	.others = wp_others,
	.close = wp_close,
};

static int target_open(struct by_wp *w, pid_t pid,
		       const struct pt_track_range *ranges, __u32 cnt,
		       struct pt_error *err)
{
	struct pt_pieces pieces = { 0 };
	int code = process_open(w, &w->target, pid, err);

	if (!code && ranges[0].is_loose)
		return loose_watch(w, ranges, cnt, NULL, err);
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
	bool sees_missing;
	int code = pt_wp_offered(&sees_missing, err);

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
	w->tracker.misses = PT_TRACK_MISSES_HOLES | PT_TRACK_MISSES_IN_FLIGHT;
	if (!ranges[0].is_loose)
		w->tracker.misses |= PT_TRACK_MISSES_FILE_WRITES;
	w->moments = moments;
	w->sees_missing = sees_missing;
	code = target_open(w, pid, ranges, cnt, err);
	if (code) {
		wp_close(&w->tracker);
		return code;
	}
	*out = &w->tracker;
	return 0;
}
