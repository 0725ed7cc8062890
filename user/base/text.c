/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/text.h"

#include <pagetrim/check.h>
#include <stdio.h>
#include <string.h>

#include <linux/types.h>

/* char_sz: bytes of the clean character that begins at p, 1..4, or 0 if none
 * does within the left bytes.  The table is the Unicode standard's 3-7, less
 * the control characters. */
static size_t char_sz(const __u8 *p, size_t left)
{
	static const struct {
		__u8 first_min, first_max, second_min, second_max;
		size_t sz;
	} forms[] = {
		{ 0x20, 0x7e, 0x00, 0x00, 1 },
		{ 0xc2, 0xc2, 0xa0, 0xbf, 2 },	/* U+0080..9F: controls */
		{ 0xc3, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },	/* no surrogates */
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },	/* up to U+10FFFF */
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (p[0] < forms[i].first_min || p[0] > forms[i].first_max)
			continue;
		if (forms[i].sz > left)
			return 0;
		if (forms[i].sz > 1 && (p[1] < forms[i].second_min ||
					p[1] > forms[i].second_max))
			return 0;
		for (size_t k = 2; k < forms[i].sz; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].sz;
	}
	return 0;
}

bool pt_text_is_clean(const void *bytes, size_t sz)
{
	const __u8 *p = bytes, *end = p + sz;
	size_t step;

	for (; p < end; p += step) {
		step = char_sz(p, end - p);
		if (!step)
			return false;
	}
	return true;
}

/* turning_mark returns the code point of a mark at p that changes the direction of the
 * text around it: U+061C, U+200E, U+200F, U+202A..U+202E, U+2066..U+2069; 0: none. */
static unsigned int turning_mark(const __u8 *p, size_t left)
{
	unsigned int mark;

	if (left >= 2 && p[0] == 0xd8 && p[1] == 0x9c)
		return 0x61c;
	if (left < 3 || p[0] != 0xe2 || (p[1] & 0xc0) != 0x80 ||
	    (p[2] & 0xc0) != 0x80)
		return 0;
	mark = 0x2000 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
	return mark == 0x200e || mark == 0x200f ||
	       (mark >= 0x202a && mark <= 0x202e) ||
	       (mark >= 0x2066 && mark <= 0x2069) ? mark : 0;
}

/* piece_clean writes the character or byte at p, returns its bytes, and sets *to_sz to
 * those that were written, at most 6, without a NUL. */
static size_t piece_clean(char to[8], size_t *to_sz, const __u8 *p, size_t left)
{
	unsigned int mark = turning_mark(p, left);
	size_t sz = char_sz(p, left);

	if (mark) {
		*to_sz = sprintf(to, "\\u%04x", mark);
		return sz;
	}
	if (!sz) {
		*to_sz = sprintf(to, "\\x%02x", p[0]);
		return 1;
	}
	memcpy(to, p, sz);
	*to_sz = sz;
	return sz;
}

void pt_text_clean(char *to, size_t to_sz, const char *from)
{
	const __u8 *p = (const __u8 *)from, *end = p + strlen(from);
	size_t used = 0, sz;
	char piece[8];

	pt_check(to_sz > 0);
	while (p < end) {
		p += piece_clean(piece, &sz, p, end - p);
		if (used + sz >= to_sz)
			break;
		memcpy(to + used, piece, sz);
		used += sz;
	}
	to[used] = '\0';
}
