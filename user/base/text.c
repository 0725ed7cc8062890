/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/text.h"

#include <pagetrim/check.h>
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

/* turns_text: p is a mark that changes the direction of the text around it:
 * U+061C, U+200E, U+200F, U+202A..U+202E, U+2066..U+2069. */
static bool turns_text(const __u8 *p, size_t left)
{
	if (left >= 2 && p[0] == 0xd8 && p[1] == 0x9c)
		return true;
	if (left < 3 || p[0] != 0xe2)
		return false;
	return (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f ||
				 (p[2] >= 0xaa && p[2] <= 0xae))) ||
	       (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

void pt_text_clean(char *to, size_t to_sz, const char *from)
{
	const __u8 *p = (const __u8 *)from, *end = p + strlen(from);
	size_t step, used = 0;

	pt_check(to_sz > 0);
	for (; p < end; p += step ? step : 1) {
		step = turns_text(p, end - p) ? 0 : char_sz(p, end - p);
		if (used + (step ? step : 1) >= to_sz)
			break;
		if (step)
			memcpy(to + used, p, step);
		else
			to[used] = '?';
		used += step ? step : 1;
	}
	to[used] = '\0';
}
