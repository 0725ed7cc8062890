// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pages of an image at rest that is received. */
#include "image/ptrim_sink_impl.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "trim/digest.h"
#include "trim/scan.h"

static int damaged(const struct pt_ptrim_sink *s, __u64 at, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EIO, "%s.partial: the bytes from "
			    "%llu on are not as they were written (see the kernel's "
			    "log; remove it, or receive without {resume})",
			    s->w->path, at);
}

/* ---- the log ---- */

/* room_take takes sz bytes at the end of the log. */
static int room_take(struct pt_ptrim_sink *s, __u64 sz, __u64 *at,
		     struct pt_error *err)
{
	*at = atomic_fetch_add(&s->at, sz);
	if (sz <= PT_PTRIM_AT_MASK && *at <= PT_PTRIM_AT_MASK - sz)
		return 0;
	return pt_error_set(err, PT_EXIT_FAILED, -EFBIG,
			    "%s: it would be larger than any image", s->w->path);
}

/* entries_give: the pages of the maker are in the unit at `at` now, but for those
 * that were written again since. */
static void entries_give(struct pt_ptrim_sink *s, const struct part *p, __u64 at)
{
	for (__u32 i = 0; i < p->note.page_cnt; i++) {
		_Atomic __u64 *entry = &s->entries[p->note.pages[i]];

		if (atomic_load(entry) == entry_of(STATE_PENDING, i, 0))
			atomic_store(entry, entry_of(PT_PTRIM_DATA, i, at));
	}
}

int pt_ptrim_sink_flush(struct pt_ptrim_sink *s, struct part *p,
			struct pt_error *err)
{
	struct pt_log_note *note = &p->note;
	__u32 note_sz = pt_log_sz(note);
	struct pt_ptrim_unit u;
	const __u8 *stored = NULL;
	__u64 at;
	int code;

	if (!note->page_cnt && !note->copy_cnt)
		return 0;
	note->sz = 0;
	if (note->page_cnt) {
		stored = pt_unit_maker_pack(&p->maker, &u);
		note->sz = sizeof(u) + be32toh(u.stored_sz);
	}
	code = room_take(s, note_sz + note->sz, &at, err);
	if (code)
		return code;
	pt_log_encode(note, at, p->bytes);
	if (stored) {
		pt_unit_maker_seal(&p->maker, &u, stored, at + note_sz);
		memcpy(p->bytes + note_sz, &u, sizeof(u));
		memcpy(p->bytes + note_sz + sizeof(u), stored,
		       be32toh(u.stored_sz));
	}
	code = pt_ptrim_writer_put(s->w, p->bytes, note_sz + note->sz, at, err);
	if (!code)
		entries_give(s, p, at + note_sz);
	note->page_cnt = note->copy_cnt = 0;
	return code;
}

/* ---- reading ---- */

/* unit_read has the part hold the unit of the entry. */
static int unit_read(struct pt_ptrim_sink *s, struct part *p, __u64 at,
		     struct pt_error *err)
{
	ssize_t got;

	if (p->unit_at == at)
		return 0;
	p->unit_at = 0;
	do
		got = pread(s->w->fd, p->bytes, UNIT_SZ_MAX, at);
	while (got < 0 && errno == EINTR);
	if (got < 0 || !pt_unit_read(&p->unit, p->decompressor, p->bytes, got, at))
		return damaged(s, at, err);
	p->unit_at = at;
	return 0;
}

/* stored_read reads a page that is in the file, with the part's means. */
static int stored_read(struct pt_ptrim_sink *s, struct part *p, __u64 entry,
		       __u8 *to, struct pt_error *err)
{
	__u32 slot = entry >> PT_PTRIM_SLOT_SHIFT & 15;
	int code = unit_read(s, p, entry & PT_PTRIM_AT_MASK, err);

	if (!code && slot >= p->unit.page_cnt)
		code = damaged(s, entry & PT_PTRIM_AT_MASK, err);
	if (!code)
		pt_unit_page(&p->unit, slot, to);
	return code;
}

int pt_ptrim_sink_page(struct pt_ptrim_sink *s, __u64 page, __u8 *to,
		       struct pt_error *err)
{
	struct part *p = part_of(s, page);
	__u64 entry = atomic_load(&s->entries[page]);
	int code;

	switch (entry >> PT_PTRIM_STATE_SHIFT) {
	case STATE_PENDING:
		pt_unit_maker_page(&p->maker, entry >> PT_PTRIM_SLOT_SHIFT & 15, to);
		return 0;
	case PT_PTRIM_DATA:
		code = stored_read(s, p, entry, to, err);
		/* One of an earlier transfer. */
		if (!code && !s->contents[page])
			s->contents[page] = pt_digest_content(s->w->digest_key, to);
		return code;
	default:
		memset(to, 0, PT_PAGE_SZ);
		return 0;
	}
}

int pt_ptrim_sink_read(const struct pt_sink *sink, __u64 off, void *to, __u64 sz,
		      struct pt_error *err)
{
	struct pt_ptrim_sink *s = (void *)pt_ptrim_sink_of_const(sink);
	__u8 page[PT_PAGE_SZ], *at = to;
	int code = 0;

	while (!code && sz) {
		__u64 idx = off / PT_PAGE_SZ, skip = off % PT_PAGE_SZ;
		__u64 part_sz = PT_PAGE_SZ - skip < sz ? PT_PAGE_SZ - skip : sz;

		if (idx < s->page_cnt) {
			pthread_mutex_lock(&part_of(s, idx)->lock);
			code = pt_ptrim_sink_page(s, idx, page, err);
			pthread_mutex_unlock(&part_of(s, idx)->lock);
		} else {
			memset(page, 0, sizeof(page));
		}
		if (!code)
			memcpy(at, page + skip, part_sz);
		at += part_sz;
		off += part_sz;
		sz -= part_sz;
	}
	return code;
}

static bool has_data(const struct pt_ptrim_sink *s, __u64 page)
{
	return atomic_load(&s->entries[page]) >> PT_PTRIM_STATE_SHIFT >=
	       PT_PTRIM_DATA;
}

bool pt_ptrim_sink_data(const struct pt_sink *sink, __u64 off, __u64 *from,
		       __u64 *to)
{
	const struct pt_ptrim_sink *s = pt_ptrim_sink_of_const(sink);
	__u64 page = off / PT_PAGE_SZ;

	while (page < s->page_cnt && !has_data(s, page))
		page++;
	*from = page * PT_PAGE_SZ;
	while (page < s->page_cnt && has_data(s, page))
		page++;
	*to = page * PT_PAGE_SZ;
	return *from < *to;
}

/* ---- writing ---- */

/* original_find returns the page that the table has for the content; NONE: there is
 * none.  The present page takes its place. */
#define NONE	(~0ULL)

static __u64 original_find(struct pt_ptrim_sink *s, __u64 content, __u64 page)
{
	struct pt_original original;
	bool found;

	if (!s->copies.slots)
		return NONE;
	pthread_mutex_lock(&s->copies_lock);
	found = pt_copies_find(&s->copies, content, &original);
	if (!found)
		pt_copies_note(&s->copies, content, page, 0);
	pthread_mutex_unlock(&s->copies_lock);
	return found ? original.page_idx : NONE;
}

static void original_note(struct pt_ptrim_sink *s, __u64 content, __u64 page)
{
	if (!s->copies.slots)
		return;
	pthread_mutex_lock(&s->copies_lock);
	pt_copies_note(&s->copies, content, page, 0);
	pthread_mutex_unlock(&s->copies_lock);
}

/* copy_store: 1: the page is that of the table, and refers to it; 0: it is not.  A
 * unit in the file never changes, so that its entry is right even where its page was
 * written again since. */
static int copy_store(struct pt_ptrim_sink *s, struct part *p, __u64 page,
		      __u64 content, const __u8 *bytes, struct pt_error *err)
{
	__u64 original = original_find(s, content, page), entry;
	__u8 other[PT_PAGE_SZ];
	int code = 0;

	if (original == NONE)
		return 0;
	if (atomic_load(&s->entries[original]) >> PT_PTRIM_STATE_SHIFT ==
	    STATE_PENDING && part_of(s, original) == p)
		code = pt_ptrim_sink_flush(s, p, err);
	if (code)
		return code;
	entry = atomic_load(&s->entries[original]);
	if (entry >> PT_PTRIM_STATE_SHIFT != PT_PTRIM_DATA)
		return 0;	/* another part is to write it */
	code = stored_read(s, p, entry, other, err);
	if (code)
		return code;
	if (memcmp(other, bytes, PT_PAGE_SZ))
		return 0;
	if (atomic_load(&s->entries[page]) != entry) {
		p->note.copies[p->note.copy_cnt++] =
			(struct pt_log_copy){ page, entry };
		pt_ptrim_sink_set(s, page, entry);
		s->contents[page] = content;
	}
	return p->note.copy_cnt < PT_LOG_COPIES ? 1
		: (code = pt_ptrim_sink_flush(s, p, err)) ? code : 1;
}

static bool is_full(const struct part *p, __u64 page)
{
	__u64 first = p->note.pages[0];

	return p->note.page_cnt == UNIT_PAGES ||
	       (p->note.page_cnt && (page > first ? page - first : first - page) >
					    PT_LOG_FAR);
}

static int data_store(struct pt_ptrim_sink *s, struct part *p, __u64 page,
		      __u64 mask, const __u8 *bytes, struct pt_error *err)
{
	__u64 content = pt_digest_content(s->w->digest_key, bytes);
	int code = copy_store(s, p, page, content, bytes, err);

	if (code)
		return code < 0 ? code : 0;
	if (is_full(p, page)) {
		code = pt_ptrim_sink_flush(s, p, err);
		if (code)
			return code;
	}
	original_note(s, content, page);
	pt_ptrim_sink_set(s, page, entry_of(STATE_PENDING, p->note.page_cnt, 0));
	s->contents[page] = content;
	p->note.pages[p->note.page_cnt++] = page;
	pt_unit_maker_add(&p->maker, mask, bytes);
	return 0;
}

static void zero_store(struct pt_ptrim_sink *s, __u64 page)
{
	pt_ptrim_sink_set(s, page, entry_of(PT_PTRIM_ZERO, 0, 0));
	s->contents[page] = 0;
}

int pt_ptrim_sink_complete(struct pt_sink *sink, __u64 off, const void *bytes,
			  struct pt_error *err)
{
	struct pt_ptrim_sink *s = pt_ptrim_sink_of(sink);
	__u64 page = off / PT_PAGE_SZ, mask = pt_scan(bytes);
	struct part *p = part_of(s, page);
	int code = 0;

	pthread_mutex_lock(&p->lock);
	if (mask)
		code = data_store(s, p, page, mask, bytes, err);
	else
		zero_store(s, page);
	pthread_mutex_unlock(&p->lock);
	return code;
}

int pt_ptrim_sink_zero(struct pt_sink *sink, __u64 off, __u64 sz,
		      struct pt_error *err)
{
	struct pt_ptrim_sink *s = pt_ptrim_sink_of(sink);

	(void)err;
	for (__u64 page = off / PT_PAGE_SZ; page * PT_PAGE_SZ < off + sz; page++) {
		pthread_mutex_lock(&part_of(s, page)->lock);
		zero_store(s, page);
		pthread_mutex_unlock(&part_of(s, page)->lock);
	}
	return 0;
}
