// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/watched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "track/tracker_impl.h"

static int no_memory(struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "no memory for a tracker");
}

/* --- a process -------------------------------------------------------- */

int pt_watched_open(struct pt_watched *p, pid_t pid, struct pt_error *err)
{
	int maps = pt_mappings_open(pid);

	if (maps == -EACCES || maps == -EPERM)
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "process %d: "
				    "not permitted to see its memory%s", pid,
				    pt_process_remedy(maps));
	if (maps == -ENOENT || maps == -ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
				    "process %d: there is none", pid);
	if (maps < 0)
		return pt_error_set(err, PT_EXIT_HOST, maps, "process %d: its "
				    "mappings: %s", pid, strerror(-maps));
	*p = (struct pt_watched){ .pid = pid, .maps = maps };
	return 0;
}

void pt_watched_close(struct pt_watched *p)
{
	if (p->has_wp)
		pt_wp_close(&p->wp);
	if (p->pid)
		close(p->maps);
	free(p->pieces.all);
	*p = (struct pt_watched){ 0 };
}

bool pt_watched_has(const struct pt_watched *p, const struct pt_piece_wp *piece)
{
	for (__u32 i = 0; i < p->pieces.cnt; i++)
		if (p->pieces.all[i].at.start <= piece->at.start &&
		    p->pieces.all[i].at.end >= piece->at.end)
			return true;
	return false;
}

static int any_found(void *arg, const struct pt_mapping *m)
{
	(void)arg;
	(void)m;
	return 1;
}

static int refused(const struct pt_watched *p, const struct pt_piece_wp *piece,
		   int code, struct pt_error *err)
{
	const char *why = strerror(-code);

	if (code == -EBUSY)
		why = "another tracker, or its own userfaultfd, has it";
	else if (code == -ENOMEM && pt_mappings_each(p->maps, any_found, NULL) < 0)
		code = -ESRCH;
	if (code == -ESRCH)
		why = "the process has ended";
	return pt_error_set(err, PT_EXIT_HOST, code, "process %d: its %s memory "
			    "at 0x%llx cannot be watched: %s", p->pid,
			    piece->at.is_shared ? "shared" : "private",
			    piece->at.start, why);
}

static int piece_arm(const struct pt_watched *p,
		     const struct pt_piece_wp *piece, struct pt_error *err)
{
	int code = pt_wp_arm(&p->wp, piece->at.start, piece->at.end,
			     piece->pages);

	return code ? refused(p, piece, code, err) : 0;
}

int pt_watched_add(struct pt_watched *p, const struct pt_piece_wp *piece,
		   bool is_late, struct pt_error *err)
{
	struct pt_piece_wp *added;
	int code = pt_wp_register(&p->wp, piece->at.start, piece->at.end);

	if (code)
		return refused(p, piece, code, err);
	if (is_late)
		code = piece_arm(p, piece, err);
	if (code)
		return code;
	added = pt_pieces_insert(&p->pieces, piece);
	if (!added)
		return no_memory(err);
	added->is_whole = is_late;
	if (added->pages == PT_WP_ALL &&
	    pt_mappings_page_sz(p->maps, piece->at.start) == PT_PAGE_SZ)
		added->pages = PT_WP_SMALL;
	return 0;
}

int pt_watched_arm(struct pt_watched *p, struct pt_error *err)
{
	int code = 0;

	for (__u32 i = 0; !code && i < p->pieces.cnt; i++) {
		struct pt_piece_wp *piece = &p->pieces.all[i];

		code = piece_arm(p, piece, err);
		if (!code || !piece->may_go)
			continue;
		piece->is_whole = true;
		code = 0;
	}
	return code;
}

bool pt_watched_is_gone(const struct pt_watched *p)
{
	return pt_mappings_each(p->maps, any_found, NULL) < 0;
}

/* --- collect ---------------------------------------------------------- */

struct reporting {
	const struct pt_track_to *to;
	const struct pt_piece_wp *piece;
	const struct pt_pieces *target;
};

static void pages_report(const struct pt_track_to *to, __u64 page_idx,
			 __u64 sz, bool is_coarse)
{
	if (is_coarse)
		pt_track_report_coarse(to, page_idx, sz / PT_PAGE_SZ);
	else
		pt_track_report(to, page_idx, sz / PT_PAGE_SZ);
}

/* file_report reports the pages of the target that show the bytes of a file from
 * off to end. */
static void file_report(const struct reporting *r, __u64 off, __u64 end,
			bool is_coarse)
{
	for (__u32 i = 0; i < r->target->cnt; i++) {
		const struct pt_piece_wp *piece = &r->target->all[i];
		const struct pt_mapping *at = &piece->at;
		__u64 first = off > at->off ? off : at->off;
		__u64 stop = at->off + (at->end - at->start);

		stop = end < stop ? end : stop;
		if (!piece->may_go && at->is_shared && first < stop &&
		    pt_mapping_is_of(at, &r->piece->at))
			pages_report(r->to, piece->page_idx +
				     (first - at->off) / PT_PAGE_SZ,
				     stop - first, is_coarse);
	}
}

static void run_report(void *arg, __u64 start, __u64 end, bool is_coarse)
{
	const struct reporting *r = arg;
	const struct pt_mapping *at = &r->piece->at;

	if (at->is_shared)
		file_report(r, at->off + (start - at->start),
			    at->off + (end - at->start), is_coarse);
	else
		pages_report(r->to, r->piece->page_idx +
			     (start - at->start) / PT_PAGE_SZ, end - start,
			     is_coarse);
}

struct comparing {
	struct pt_pieces *pieces;
	__u32 next;		/* the first that ends above the last mapping */
};

/* mapping_compare advances the pieces that the mapping continues. */
static int mapping_compare(void *arg, const struct pt_mapping *m)
{
	struct comparing *c = arg;
	struct pt_piece_wp *all = c->pieces->all;

	while (c->next < c->pieces->cnt && all[c->next].at.end <= m->start)
		c->next++;
	for (__u32 i = c->next; i < c->pieces->cnt &&
	     all[i].at.start < m->end; i++) {
		struct pt_piece_wp *piece = &all[i];
		const struct pt_mapping *at = &piece->at;
		__u64 upto = piece->seen_upto;

		if (upto < m->start || upto >= m->end || upto >= at->end ||
		    m->is_shared != at->is_shared || m->ino != at->ino ||
		    m->dev != at->dev)
			continue;
		if (m->ino && m->off + (upto - m->start) !=
			      at->off + (upto - at->start))
			continue;
		piece->seen_upto = m->end < at->end ? m->end : at->end;
	}
	return 0;
}

static void whole_report(struct reporting *r)
{
	run_report(r, r->piece->at.start, r->piece->at.end, true);
}

/* piece_collect returns 0; -ESTALE: it is registered no more. */
static int piece_collect(const struct pt_watched *p, struct pt_piece_wp *piece,
			 struct reporting *r)
{
	int code;

	r->piece = piece;
	code = pt_wp_collect(&p->wp, piece->at.start, piece->at.end,
			     piece->pages, run_report, r);
	if (!code && piece->is_whole)
		whole_report(r);
	piece->is_whole = false;
	piece->seen_upto = piece->at.start;
	return code == -EPERM ? -ESTALE : code;
}

static int changed(const struct pt_watched *p, const struct pt_piece_wp *piece,
		   int code, struct pt_error *err)
{
	if (code == -ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, code, "process %d: it "
				    "ended while its memory was watched",
				    p->pid);
	if (code == -ESTALE)
		return pt_error_set(err, PT_EXIT_FAILED, code, "process %d: its "
				    "memory at 0x%llx is mapped anew since it "
				    "is watched", p->pid, piece->at.start);
	if (code == -EOPNOTSUPP)
		return pt_error_set(err, PT_EXIT_HOST, code, "process %d: its "
				    "memory at 0x%llx has pages of more than "
				    "2 MiB", p->pid, piece->at.start);
	return pt_error_set(err, PT_EXIT_HOST, code, "process %d: its memory at "
			    "0x%llx cannot be watched any more: %s", p->pid,
			    piece->at.start, strerror(-code));
}

/* pieces_keep reports the pieces that are not mapped as they were, and forgets
 * those that may go.  gone: the error of reading the mappings. */
static int pieces_keep(struct pt_watched *p, struct reporting *r, int gone,
		       int code, struct pt_error *err)
{
	__u32 kept = 0;

	for (__u32 i = 0; i < p->pieces.cnt; i++) {
		struct pt_piece_wp *piece = &p->pieces.all[i];
		bool is_there = !gone && piece->seen_upto == piece->at.end;

		r->piece = piece;
		if (!is_there)
			whole_report(r);
		if (!is_there && !piece->may_go && (!code || gone))
			code = changed(p, piece, gone ? gone : -ESTALE, err);
		if (is_there || !piece->may_go)
			p->pieces.all[kept++] = *piece;
	}
	p->pieces.cnt = kept;
	return code;
}

int pt_watched_collect(struct pt_watched *p, const struct pt_pieces *target,
		       const struct pt_track_to *to, struct pt_error *err)
{
	struct reporting r = { .to = to, .target = target };
	struct comparing c = { .pieces = &p->pieces };
	int code = 0;

	for (__u32 i = 0; i < p->pieces.cnt; i++) {
		struct pt_piece_wp *piece = &p->pieces.all[i];
		int failed = piece_collect(p, piece, &r);

		if (failed && !piece->may_go && !code)
			code = changed(p, piece, failed, err);
		if (failed)
			piece->seen_upto = 0;
	}
	/* An address space that is gone has nothing written, so this comes
	 * after the scan. */
	return pieces_keep(p, &r, pt_mappings_each(p->maps, mapping_compare, &c),
			   code, err);
}
