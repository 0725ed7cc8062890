// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which mappings show the memory. */
#include "track/watched.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pagetrim/wire.h>

int pt_pieces_add(struct pt_pieces *to, const struct pt_piece_wp *piece)
{
	__u32 capacity = to->capacity ? 2 * to->capacity : 8;
	struct pt_piece_wp *all;

	if (to->cnt == to->capacity) {
		all = reallocarray(to->all, capacity, sizeof(*all));
		if (!all)
			return -ENOMEM;
		to->all = all;
		to->capacity = capacity;
	}
	to->all[to->cnt++] = *piece;
	return 0;
}

struct pt_piece_wp *pt_pieces_insert(struct pt_pieces *to,
				     const struct pt_piece_wp *piece)
{
	__u32 i = to->cnt;

	if (pt_pieces_add(to, piece))
		return NULL;
	for (; i && to->all[i - 1].at.start > piece->at.start; i--)
		to->all[i] = to->all[i - 1];
	to->all[i] = *piece;
	return &to->all[i];
}

bool pt_pieces_are(const struct pt_pieces *a, const struct pt_pieces *b)
{
	for (__u32 i = 0; a->cnt == b->cnt && i < a->cnt; i++) {
		const struct pt_mapping *x = &a->all[i].at, *y = &b->all[i].at;

		if (x->start != y->start || x->end != y->end ||
		    x->off != y->off || !pt_mapping_is_of(x, y))
			return false;
	}
	return a->cnt == b->cnt;
}

void pt_pieces_swap(struct pt_pieces *a, struct pt_pieces *b)
{
	struct pt_pieces a_was = *a;

	*a = *b;
	*b = a_was;
}

static int no_memory(struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "no memory for the mappings of a process");
}

/* --- the ranges of the target ----------------------------------------- */

struct covering {
	struct pt_pieces *out;
	const struct pt_track_range *range;
	__u64 upto;		/* address up to which it is covered */
};

/* cover adds the part of the range that the mapping covers. */
static int cover(void *arg, const struct pt_mapping *m)
{
	struct covering *c = arg;
	__u64 end = c->range->addr + c->range->sz;
	struct pt_piece_wp piece = { .at = *m };

	if (c->upto < m->start || c->upto >= m->end || !m->is_writable)
		return 0;
	piece.at.start = c->upto;
	piece.at.end = end < m->end ? end : m->end;
	piece.at.off += c->upto - m->start;
	piece.page_idx = c->range->page_idx +
			 (c->upto - c->range->addr) / PT_PAGE_SZ;
	c->upto = piece.at.end;
	return pt_pieces_add(c->out, &piece) ? -ENOMEM : c->upto == end;
}

static bool overlaps(const struct pt_track_range *ranges, __u32 i)
{
	for (__u32 k = 0; k < i; k++)
		if (ranges[k].addr < ranges[i].addr + ranges[i].sz &&
		    ranges[i].addr < ranges[k].addr + ranges[k].sz)
			return true;
	return false;
}

int pt_pieces_of(struct pt_pieces *out, const struct pt_watched *p,
		 const struct pt_track_range *ranges, __u32 cnt,
		 struct pt_error *err)
{
	for (__u32 i = 0; i < cnt; i++) {
		const struct pt_track_range *r = &ranges[i];
		struct covering c = { .out = out, .range = r, .upto = r->addr };
		int code;

		if (!r->sz || (r->addr | r->sz) % PT_PAGE_SZ ||
		    r->addr + r->sz < r->addr)
			return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
					    "range %u: its bytes are no pages",
					    i);
		if (overlaps(ranges, i))
			return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
					    "range %u: its addresses are in "
					    "another range, too", i);
		code = pt_mappings_each(p->maps, cover, &c);
		if (code == -ENOMEM)
			return no_memory(err);
		if (code < 0)
			return pt_error_set(err, PT_EXIT_HOST, code,
					    "process %d: its mappings: %s",
					    p->pid, strerror(-code));
		if (!code)
			return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
					    "process %d: nothing is mapped at "
					    "0x%llx that it can write", p->pid,
					    c.upto);
	}
	return 0;
}

/* --- loose ranges ------------------------------------------------------ */

struct searching {
	const struct pt_pieces *have;
	struct pt_pieces *out;
	const struct pt_track_range *ranges;	/* ascending */
	__u32 cnt, next;	/* next: the first that ends above the last
				 * mapping */
	__u32 had;		/* the first piece that ends above the last
				 * address */
};

/* next_lacking returns the first address from `from` on that no piece has, and
 * *end, above it, up to which none has.  from ascends from call to call. */
static __u64 next_lacking(struct searching *s, __u64 from, __u64 *end)
{
	const struct pt_piece_wp *have = s->have->all;
	__u32 cnt = s->have->cnt, i;

	while (s->had < cnt && have[s->had].at.end <= from)
		s->had++;
	for (i = s->had; i < cnt && have[i].at.start <= from && from < *end; i++)
		from = have[i].at.end;
	if (i < cnt && have[i].at.start > from && have[i].at.start < *end)
		*end = have[i].at.start;
	return from;
}

/* lacking_add adds the parts of the mapping that are in the range, and that no
 * piece has. */
static int lacking_add(struct searching *s, const struct pt_mapping *m,
		       const struct pt_track_range *r)
{
	__u64 from = r->addr > m->start ? r->addr : m->start;
	__u64 end = r->addr + r->sz < m->end ? r->addr + r->sz : m->end;

	while (from < end) {
		struct pt_piece_wp piece = { .at = *m, .may_go = true };
		__u64 stop = end;

		from = next_lacking(s, from, &stop);
		if (from >= end)
			break;
		piece.at.start = from;
		piece.at.end = stop;
		piece.at.off += from - m->start;
		piece.page_idx = r->page_idx + (from - r->addr) / PT_PAGE_SZ;
		piece.pages = m->ino ? PT_WP_ALL : PT_WP_THERE;
		if (pt_pieces_add(s->out, &piece))
			return -ENOMEM;
		from = stop;
	}
	return 0;
}

static int search(void *arg, const struct pt_mapping *m)
{
	struct searching *s = arg;
	int code = 0;

	while (s->next < s->cnt &&
	       s->ranges[s->next].addr + s->ranges[s->next].sz <= m->start)
		s->next++;
	if (!m->is_writable || m->is_shared)
		return 0;
	for (__u32 i = s->next; !code && i < s->cnt &&
	     s->ranges[i].addr < m->end; i++)
		code = lacking_add(s, m, &s->ranges[i]);
	return code;
}

int pt_pieces_lacking(struct pt_pieces *out, const struct pt_watched *p,
		      const struct pt_track_range *ranges, __u32 cnt,
		      struct pt_error *err)
{
	struct searching s = { .have = &p->pieces, .out = out,
			       .ranges = ranges, .cnt = cnt };
	int code = pt_mappings_each(p->maps, search, &s);

	if (code == -ENOMEM)
		return no_memory(err);
	return code < 0 ? pt_error_set(err, PT_EXIT_HOST, code, "process %d: "
				       "its mappings: %s", p->pid,
				       strerror(-code)) : 0;
}

/* --- the same files elsewhere ----------------------------------------- */

struct sharing {
	const struct pt_pieces *of;
	struct pt_pieces *out;
};

/* next_new returns the first byte of the file from off on that no piece of the
 * mapping has, and *end, above it, up to which none has. */
static __u64 next_new(const struct pt_pieces *out, const struct pt_mapping *m,
		      __u64 off, __u64 *end)
{
	for (__u32 i = 0; i < out->cnt; i++) {
		const struct pt_mapping *at = &out->all[i].at;
		__u64 at_end = at->off + (at->end - at->start);

		if (at->start < m->start || at->end > m->end)
			continue;
		if (at->off <= off && off < at_end)
			return next_new(out, m, at_end, end);
		if (at->off > off && at->off < *end)
			*end = at->off;
	}
	return off;
}

static int parts_add(const struct sharing *s, const struct pt_mapping *m,
		     __u64 first, __u64 end)
{
	while (first < end) {
		struct pt_piece_wp piece = { .at = *m, .may_go = true };
		__u64 stop = end;

		first = next_new(s->out, m, first, &stop);
		if (first >= end)
			break;
		piece.at.start = m->start + (first - m->off);
		piece.at.end = m->start + (stop - m->off);
		piece.at.off = first;
		if (pt_pieces_add(s->out, &piece))
			return -ENOMEM;
		first = stop;
	}
	return 0;
}

/* share adds the parts of the mapping that show a piece's bytes of its file. */
static int share(void *arg, const struct pt_mapping *m)
{
	const struct sharing *s = arg;
	int code = 0;

	for (__u32 i = 0; !code && i < s->of->cnt; i++) {
		const struct pt_piece_wp *of = &s->of->all[i];
		__u64 first = of->at.off;
		__u64 end = first + (of->at.end - of->at.start);
		__u64 m_end = m->off + (m->end - m->start);

		if (of->may_go || !of->at.is_shared ||
		    !pt_mapping_is_of(m, &of->at))
			continue;
		first = first > m->off ? first : m->off;
		code = parts_add(s, m, first, end < m_end ? end : m_end);
	}
	return code;
}

int pt_pieces_shared(struct pt_pieces *out, const struct pt_pieces *of,
		     pid_t pid, struct pt_error *err)
{
	struct sharing s = { .of = of, .out = out };
	int maps = pt_mappings_open(pid), code;

	if (maps == -ENOENT || maps == -ESRCH)
		return 0;
	if (maps == -EPERM || maps == -EACCES)
		return -EACCES;
	if (maps < 0)
		return pt_error_set(err, PT_EXIT_HOST, maps, "process %d: its "
				    "mappings: %s", pid, strerror(-maps));
	code = pt_mappings_writable(maps, false, share, &s);
	close(maps);
	if (code == -ENOMEM)
		return no_memory(err);
	return code < 0 ? pt_error_set(err, PT_EXIT_HOST, code, "process %d: "
				       "its mappings: %s", pid,
				       strerror(-code)) : 0;
}

bool pt_same_memory(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0;
}
