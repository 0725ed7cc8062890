// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Units of an image at rest that is received to which no page refers any more.
 *
 *     note | unit | note | unit | note | unit |
 *              ^ a page    ^ none          ^ a page     a bit for each 64 bytes
 *
 * The log stays as it is, but for the bytes of such units, which become holes: the
 * image's id is of the bytes as they are then. */
#include "image/ptrim_sink_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#define GRAIN	64u		/* bytes of the file for a bit: where two small units
				 * share one, neither is dropped */

static bool bit_is_set(const __u64 *bits, __u64 at)
{
	return bits[at / GRAIN / 64] >> (at / GRAIN % 64) & 1;
}

/* used_find marks the places of the units that pages are in. */
static void used_find(const struct pt_ptrim_sink *s, __u64 *bits, __u64 end)
{
	for (__u64 page = 0; page < s->page_cnt; page++) {
		__u64 entry = atomic_load(&s->entries[page]);
		__u64 at = entry & PT_PTRIM_AT_MASK;

		if (entry >> PT_PTRIM_STATE_SHIFT == PT_PTRIM_DATA && at < end)
			bits[at / GRAIN / 64] |= 1ULL << (at / GRAIN % 64);
	}
}

/* note_read returns the bytes of the note at `at`; 0: there is none. */
static __u32 note_read(const struct pt_ptrim_sink *s, __u64 at,
		       struct pt_log_note *note)
{
	__u8 bytes[PT_LOG_NOTE_MAX];
	ssize_t got;

	do
		got = pread(s->w->fd, bytes, sizeof(bytes), at);
	while (got < 0 && errno == EINTR);
	return got > 0 ? pt_log_decode(note, at, bytes, got) : 0;
}

/* units_drop walks the log.  A failure to make a hole is none of the image's. */
static void units_drop(const struct pt_ptrim_sink *s, const __u64 *bits, __u64 end)
{
	struct pt_log_note note;
	__u64 at = s->w->at;
	__u32 sz;

	while (at < end && (sz = note_read(s, at, &note))) {
		at += sz;
		if (note.page_cnt && !bit_is_set(bits, at) &&
		    fallocate(s->w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      at, note.sz))
			return;
		at += note.sz;
	}
}

void pt_ptrim_sink_give_back(struct pt_ptrim_sink *s)
{
	__u64 end = atomic_load(&s->at);
	__u64 *bits;

	if (!atomic_load(&s->has_superseded))
		return;
	bits = calloc(end / GRAIN / 64 + 1, sizeof(*bits));
	if (!bits)
		return;
	used_find(s, bits, end);
	units_drop(s, bits, end);
	free(bits);
}
