// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/sink_large.h"
#include "sink/sink_whole.h"

#include <errno.h>

#include <pagetrim/check.h>

int pt_sink_fit(struct pt_sink *s, const struct pt_layout *l,
		struct pt_error *err)
{
	int ret;

	s->layout = l;
	ret = s->ops->fit(s, l, err);
	if (ret || !s->ops->complete)
		return ret;
	pt_sink_whole_free(s->whole);
	s->whole = NULL;
	return pt_sink_whole_create(&s->whole, s->sz)
		? pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for pages "
			       "in pieces") : 0;
}

bool pt_sink_starts_zero(const struct pt_sink *s)
{
	return s->starts_zero;
}

bool pt_sink_may_wait(const struct pt_sink *s)
{
	return s->may_wait;
}

int pt_sink_zero(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	pt_check(off <= s->sz);
	if (sz > s->sz - off)
		sz = s->sz - off;
	if (s->whole)
		pt_sink_whole_drop(s->whole, off, sz);
	return sz ? s->ops->zero(s, off, sz, err) : 0;
}

bool pt_sink_wants_whole(const struct pt_sink *s)
{
	return s->whole;
}

void pt_sink_drop_pieces(struct pt_sink *s, __u64 off)
{
	pt_check(s->whole);
	pt_sink_whole_drop(s->whole, off, PT_PAGE_SZ);
}

int pt_sink_lack(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	if (s->ops->lack)
		return s->ops->lack(s, off, sz, err);
	return pt_error_set(err, PT_EXIT_PEER, -EOPNOTSUPP, "pages are to come after "
			    "the hand-over, which this memory of the receiver cannot");
}

int pt_sink_fill(struct pt_sink *s,
		 void (*completed)(void *arg, __u64 page, const void *bytes),
		 void *arg, struct pt_error *err)
{
	int ret = pt_sink_lack(s, 0, 0, err);

	s->completed = completed;
	s->completed_arg = arg;
	return ret ? ret : s->ops->fill(s, err);
}

int pt_sink_lose(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	pt_check(s->ops->lose);
	return s->ops->lose(s, off, sz, err);
}

int pt_sink_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		 struct pt_error *err)
{
	return s->ops->read(s, off, to, sz, err);
}

bool pt_sink_data(const struct pt_sink *s, __u64 off, __u64 *from, __u64 *to)
{
	pt_check(s->ops->data);
	return s->ops->data(s, off, from, to);
}

const void *pt_sink_see(const struct pt_sink *s, __u64 off, void *buffer,
			struct pt_error *err)
{
	const void *page = s->ops->see ? s->ops->see(s, off) : NULL;

	if (page)
		return page;
	return s->ops->read(s, off, buffer, PT_PAGE_SZ, err) ? NULL : buffer;
}

int pt_sink_fault(const struct pt_sink *s, const void *addr,
		  struct pt_error *err)
{
	return s->ops->fault ? s->ops->fault(s, addr, err) : 0;
}

int pt_sink_check_files(const struct pt_sink *s, struct pt_error *err)
{
	if (s->ops->file_begin)
		return 0;
	return pt_error_set(err, PT_EXIT_FAILED, -EOPNOTSUPP, "the receiver "
			    "takes memory alone, no files beside it (send "
			    "without {with})");
}

int pt_sink_file_begin(struct pt_sink *s, const char *name, __u64 sz,
		       struct pt_error *err)
{
	int ret = pt_sink_check_files(s, err);

	return ret ? ret : s->ops->file_begin(s, name, sz, err);
}

int pt_sink_file_write(struct pt_sink *s, const void *bytes, __u64 sz,
		       struct pt_error *err)
{
	pt_check(s->ops->file_write);
	return s->ops->file_write(s, bytes, sz, err);
}

int pt_sink_check_marks(const struct pt_sink *s, struct pt_error *err)
{
	if (s->ops->check_marks)
		return s->ops->check_marks(s, err);
	return pt_error_set(err, PT_EXIT_FAILED, -EOPNOTSUPP, "pages of the "
			    "source cannot be read, and this memory of the "
			    "receiver cannot mark them (receive an image by "
			    "{out}; {on-unreadable} zero takes them for zero)");
}

int pt_sink_mark(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	int ret = pt_page_ranges_add(&s->marks, off / PT_PAGE_SZ,
				     (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ);

	if (ret == -E2BIG)
		return pt_error_set(err, PT_EXIT_FAILED, ret, "more than %u "
				    "ranges of pages that cannot be read",
				    PT_PAGE_RANGES_MAX);
	return ret ? pt_error_set(err, PT_EXIT_HOST, ret, "no memory to note "
				  "pages that cannot be read") : 0;
}

int pt_sink_sync(struct pt_sink *s, struct pt_error *err)
{
	pt_sink_large_finish(s);
	return s->ops->sync ? s->ops->sync(s, err) : 0;
}

int pt_sink_commit(struct pt_sink *s, struct pt_error *err)
{
	return s->ops->commit ? s->ops->commit(s, err) : 0;
}

bool pt_sink_is_kept(const struct pt_sink *s)
{
	return s->ops->is_kept && s->ops->is_kept(s);
}

void pt_sink_invalidate(struct pt_sink *s)
{
	if (s->ops->invalidate)
		s->ops->invalidate(s);
}

void pt_sink_close(struct pt_sink *s)
{
	if (!s)
		return;
	pt_sink_large_end(s);
	pt_sink_whole_free(s->whole);
	pt_page_ranges_free(&s->marks);
	s->ops->close(s);
}
