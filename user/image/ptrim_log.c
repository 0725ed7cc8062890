// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/ptrim_log.h"

#include <endian.h>
#include <string.h>
#include <xxhash.h>

#define HEAD_SZ	24
#define SZ_BITS	48

static __u8 *put64(__u8 *to, __u64 value)
{
	__be64 be = htobe64(value);

	memcpy(to, &be, sizeof(be));
	return to + sizeof(be);
}

static __u64 get64(const __u8 *from)
{
	__be64 be;

	memcpy(&be, from, sizeof(be));
	return be64toh(be);
}

static __u32 note_sz(__u32 page_cnt, __u32 copy_cnt)
{
	return HEAD_SZ + 2 * page_cnt + 16 * copy_cnt;
}

static __u64 check_of(const __u8 *note, __u32 sz, __u64 off)
{
	return XXH3_64bits_withSeed(note + 8, sz - 8, off);
}

__u32 pt_log_sz(const struct pt_log_note *note)
{
	return note_sz(note->page_cnt, note->copy_cnt);
}

void pt_log_encode(const struct pt_log_note *note, __u64 off, __u8 *to)
{
	__u8 *at = put64(to + 8, (__u64)note->page_cnt << 56 |
				 (__u64)note->copy_cnt << SZ_BITS | note->sz);

	at = put64(at, note->page_cnt ? note->pages[0] : 0);
	for (__u32 i = 0; i < note->page_cnt; i++) {
		__be16 far = htobe16(note->pages[i] - note->pages[0]);

		memcpy(at, &far, sizeof(far));
		at += sizeof(far);
	}
	for (__u32 i = 0; i < note->copy_cnt; i++) {
		at = put64(at, note->copies[i].page);
		at = put64(at, note->copies[i].entry);
	}
	put64(to, check_of(to, pt_log_sz(note), off));
}

__u32 pt_log_decode(struct pt_log_note *note, __u64 off, const __u8 *from,
		    __u64 left)
{
	__u64 what, first;
	__u32 sz;

	if (left < HEAD_SZ)
		return 0;
	what = get64(from + 8);
	note->page_cnt = what >> 56;
	note->copy_cnt = what >> SZ_BITS & 0xff;
	note->sz = what & ((1ULL << SZ_BITS) - 1);
	sz = note_sz(note->page_cnt, note->copy_cnt);
	if (note->page_cnt > PT_PTRIM_UNIT_PAGES ||
	    note->copy_cnt > PT_LOG_COPIES || sz > left ||
	    get64(from) != check_of(from, sz, off))
		return 0;
	first = get64(from + 16);
	from += HEAD_SZ;
	for (__u32 i = 0; i < note->page_cnt; i++, from += 2)
		note->pages[i] = first + (__s16)(from[0] << 8 | from[1]);
	for (__u32 i = 0; i < note->copy_cnt; i++, from += 16)
		note->copies[i] = (struct pt_log_copy){ get64(from),
							get64(from + 8) };
	return sz;
}
