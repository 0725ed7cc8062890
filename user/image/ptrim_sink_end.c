// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Small files of an image at rest that is received, its end, and the image that an
 * interrupted transfer left. */
#include "image/ptrim_sink_impl.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <pagetrim/check.h>

#include "base/name.h"
#include "trim/digest.h"

/* ---- small files ---- */

/* file_end ends the present file, whose bytes must all have come. */
static int file_end(struct pt_ptrim_sink *s, struct pt_error *err)
{
	struct pt_ptrim_writer *w = s->w;
	struct pt_ptrim_file *f = &w->files[w->file_cnt];

	if (!s->file_at)
		return 0;
	if (s->file_left)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "%s: its file %s lacks %llu bytes", w->path,
				    f->name, s->file_left);
	f->check = htobe64(XXH3_64bits_digest(w->check));
	w->file_cnt++;
	s->file_at = 0;
	return 0;
}

static int name_check(const struct pt_ptrim_sink *s, const char *name,
		      struct pt_error *err)
{
	const struct pt_ptrim_writer *w = s->w;
	const char *fault = pt_name_file_fault(name);

	if (fault)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "%s: a file that came with it cannot be "
				    "stored by its name: %s", w->path, fault);
	if (w->file_cnt == PT_PTRIM_FILES_MAX)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "%s: an image takes %u files", w->path,
				    PT_PTRIM_FILES_MAX);
	for (__u32 i = 0; i < w->file_cnt; i++)
		if (!strcmp(w->files[i].name, name))
			return pt_error_set(err, PT_EXIT_FAILED, -EEXIST, "%s: "
					    "two files of the name %s came with it",
					    w->path, name);
	return 0;
}

int pt_ptrim_sink_file_begin(struct pt_sink *sink, const char *name, __u64 sz,
			     struct pt_error *err)
{
	struct pt_ptrim_sink *s = pt_ptrim_sink_of(sink);
	const struct pt_log_note note = { .sz = sz };
	struct pt_ptrim_writer *w = s->w;
	__u8 bytes[PT_LOG_NOTE_MAX];
	struct pt_ptrim_file *f;
	__u64 at;
	int code = file_end(s, err);

	if (!code)
		code = name_check(s, name, err);
	if (code)
		return code;
	if (sz >> 47)
		return pt_error_set(err, PT_EXIT_FAILED, -EFBIG, "%s: its file %s "
				    "has %llu bytes, more than any image takes",
				    w->path, name, sz);
	at = atomic_fetch_add(&s->at, pt_log_sz(&note) + sz);
	pt_log_encode(&note, at, bytes);
	code = pt_ptrim_writer_put(w, bytes, pt_log_sz(&note), at, err);
	s->file_at = at + pt_log_sz(&note);
	s->file_left = sz;
	f = &w->files[w->file_cnt];
	*f = (struct pt_ptrim_file){ .at = htobe64(s->file_at), .sz = htobe64(sz) };
	memcpy(f->name, name, strlen(name));	/* at most 255 bytes */
	XXH3_64bits_reset_withSeed(w->check, s->file_at);
	return code;
}

int pt_ptrim_sink_file_write(struct pt_sink *sink, const void *bytes, __u64 sz,
			     struct pt_error *err)
{
	struct pt_ptrim_sink *s = pt_ptrim_sink_of(sink);
	const struct pt_ptrim_file *f = &s->w->files[s->w->file_cnt];

	if (!s->file_at || sz > s->file_left)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "%s: more bytes came for a file than were "
				    "announced", s->w->path);
	XXH3_64bits_update(s->w->check, bytes, sz);
	s->file_left -= sz;
	return pt_ptrim_writer_put(s->w, bytes, sz, be64toh(f->at) +
				   be64toh(f->sz) - s->file_left - sz, err);
}

/* ---- the end ---- */

/* log_hash begins the id with all bytes of the log. */
static int log_hash(struct pt_ptrim_sink *s, struct pt_error *err)
{
	struct pt_ptrim_writer *w = s->w;
	static const __u32 piece_sz = 1u << 16;
	__u64 off = w->at, end = atomic_load(&s->at);

	while (off < end) {
		__u64 sz = end - off < piece_sz ? end - off : piece_sz;
		ssize_t got = pread(w->fd, w->buffer, sz, off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return pt_error_set(err, PT_EXIT_HOST, -EIO, "%s.partial: "
					    "cannot be read: %s", w->path,
					    got ? strerror(errno)
						: "it was cut short");
		pt_check(EVP_DigestUpdate(w->hash, w->buffer, got) == 1);
		off += got;
	}
	w->at = end;
	return 0;
}

static void marks_set(struct pt_ptrim_sink *s)
{
	const struct pt_page_ranges *marks = &s->sink.marks;

	for (__u32 i = 0; i < marks->cnt; i++)
		for (__u64 k = 0; k < marks->all[i].cnt; k++) {
			__u64 page = marks->all[i].first + k;

			pt_ptrim_sink_set(s, page,
					  entry_of(PT_PTRIM_UNREADABLE, 0, 0));
			s->contents[page] = PT_PTRIM_UNREADABLE_CONTENT;
		}
}

/* content_of returns the digest of the page's content, which is not known of a page
 * that an earlier transfer stored, and nobody read since. */
static int content_of(struct pt_ptrim_sink *s, __u64 page, __u64 *content,
		      struct pt_error *err)
{
	__u8 bytes[PT_PAGE_SZ];
	int code = 0;

	if (!s->contents[page])
		code = pt_ptrim_sink_page(s, page, bytes, err);
	*content = s->contents[page];
	return code;
}

static int region_end(struct pt_ptrim_sink *s, __u64 region_idx,
		      struct pt_error *err)
{
	const struct pt_layout *l = s->w->layout;
	__u64 entries[PT_REGION_PAGES], digest = 0, content, gfn;
	__u32 cnt = pt_layout_region(l, region_idx, &gfn);
	__u64 first = pt_layout_image_off(l, region_idx * PT_REGION_PAGES) /
		      PT_PAGE_SZ;
	int code = 0;

	for (__u32 i = 0; !code && i < cnt; i++) {
		code = content_of(s, first + i, &content, err);
		entries[i] = atomic_load(&s->entries[first + i]);
		if (content)
			digest += pt_digest_at(content, gfn + i);
	}
	return code ? code : pt_ptrim_writer_table(s->w, region_idx, entries,
						   digest, err);
}

int pt_ptrim_sink_sync(struct pt_sink *sink, struct pt_error *err)
{
	struct pt_ptrim_sink *s = pt_ptrim_sink_of(sink);
	int code = s->is_synced ? 0 : file_end(s, err);
	__u64 sz;

	if (code || s->is_synced)
		return code;
	for (int i = 0; !code && i < PARTS; i++)
		code = pt_ptrim_sink_flush(s, &s->parts[i], err);
	if (!code)
		marks_set(s);
	if (!code)
		pt_ptrim_sink_give_back(s);
	if (!code)
		code = log_hash(s, err);
	for (__u64 i = 0; !code && i < pt_layout_region_cnt(s->w->layout); i++)
		code = region_end(s, i, err);
	if (!code)
		code = pt_ptrim_writer_end(s->w, &sz, err);
	if (!code)
		code = pt_sink_sync(s->w->sink, err);
	s->is_synced = !code;
	return code;
}

/* ---- what an interrupted transfer left ---- */

static bool bytes_read(const struct pt_ptrim_sink *s, void *to, __u64 sz,
		       __u64 off, __u64 *got)
{
	ssize_t done;

	do
		done = pread(s->w->fd, to, sz, off);
	while (done < 0 && errno == EINTR);
	*got = done < 0 ? 0 : done;
	return done > 0;
}

/* is_dropped: the unit at `at` was given back (ptrim_sink_dead.c), or never written. */
static bool is_dropped(const __u8 *bytes, __u64 got)
{
	static const __u8 none[sizeof(struct pt_ptrim_unit)];

	return got >= sizeof(none) && !memcmp(bytes, none, sizeof(none));
}

/* copies_drop forgets the copies of units that were given back. */
static void copies_drop(struct pt_ptrim_sink *s)
{
	__u8 bytes[sizeof(struct pt_ptrim_unit)];
	__u64 got, last = 0;
	bool is_there = true;

	for (__u64 i = 0; i < s->page_cnt; i++) {
		__u64 at = s->entries[i] & PT_PTRIM_AT_MASK;

		if (s->entries[i] >> PT_PTRIM_STATE_SHIFT != PT_PTRIM_DATA)
			continue;
		if (at != last)
			is_there = bytes_read(s, bytes, sizeof(bytes), at, &got) &&
				   !is_dropped(bytes, got);
		last = at;
		if (!is_there)
			s->entries[i] = 0;
	}
}

/* note_take: the note at `at`, and what follows it, are whole; *next: behind it. */
static bool note_take(struct pt_ptrim_sink *s, __u64 at, __u64 end, __u64 *next)
{
	struct part *p = &s->parts[0];	/* nobody else is here */
	struct pt_log_note note;
	__u64 got;
	__u32 sz;

	if (!bytes_read(s, p->bytes, PT_LOG_NOTE_MAX, at, &got))
		return false;
	sz = pt_log_decode(&note, at, p->bytes, got);
	if (!sz || note.sz > end - at - sz)
		return false;
	*next = at + sz + note.sz;
	at += sz;
	if (note.page_cnt && !bytes_read(s, p->bytes, UNIT_SZ_MAX, at, &got))
		return false;
	if (note.page_cnt && is_dropped(p->bytes, got))
		note.page_cnt = 0;
	if (note.page_cnt && (pt_unit_sz(p->bytes, got) != note.sz ||
			      !pt_unit_is_good(p->bytes, note.sz, at)))
		return false;
	for (__u32 i = 0; i < note.page_cnt; i++)
		if (note.pages[i] < s->page_cnt)
			s->entries[note.pages[i]] = entry_of(PT_PTRIM_DATA, i, at);
	for (__u32 i = 0; i < note.copy_cnt; i++)
		if (note.copies[i].page < s->page_cnt &&
		    note.copies[i].entry >> PT_PTRIM_STATE_SHIFT == PT_PTRIM_DATA)
			s->entries[note.copies[i].page] = note.copies[i].entry;
	return true;
}

int pt_ptrim_sink_resume(struct pt_sink *sink, struct pt_error *err)
{
	struct pt_ptrim_sink *s = pt_ptrim_sink_of(sink);
	__u64 at = s->w->at, next;
	int code = pt_image_resume(s->w->sink, err);
	off_t end = lseek(s->w->fd, 0, SEEK_END);

	if (code)
		return code;
	while ((__u64)end > at && end > 0 && note_take(s, at, end, &next))
		at = next;
	s->at = at;
	copies_drop(s);
	if (end > (off_t)at && ftruncate(s->w->fd, at))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s.partial: cannot "
				    "cut off what is half written: %s", s->w->path,
				    strerror(errno));
	return 0;
}
