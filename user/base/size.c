/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 9		/* of a fraction */

static const char prefixes[] = "kmgt";

/* unit: a number of these is number * times / 8 bytes if is_bits, else
 * number * times. */
struct unit {
	__u64 times;
	bool is_bits;
};

static __u64 power(__u64 base, unsigned int exponent)
{
	__u64 value = 1;

	while (exponent--)
		value *= base;
	return value;
}

/* step_over returns the text behind word, or the text. */
static const char *step_over(const char *text, const char *word)
{
	size_t sz = strlen(word);

	return strncasecmp(text, word, sz) ? text : text + sz;
}

static bool unit_parse(struct unit *out, const char *text, bool is_rate)
{
	const char *at = *text ? strchr(prefixes, tolower(*text)) : NULL;
	unsigned int exponent = at ? at - prefixes + 1 : 0;

	text += exponent > 0;
	out->is_bits = is_rate && !strncmp(text, "bit", 3);
	if (out->is_bits) {
		out->times = power(1000, exponent);
		text += 3;
	} else {
		out->times = power(1024, exponent);
		if (exponent)
			text = step_over(text, "i");
		if (!is_rate)
			text = step_over(text, "b");
		else
			text += *text == 'B';
	}
	if (is_rate)
		text = step_over(text, "/s");
	return !*text;
}

/* fraction_parse reads ".25" as 25 / 100. */
static const char *fraction_parse(const char *text, __u64 *part, __u64 *whole)
{
	*part = 0;
	*whole = 1;
	if (*text != '.' || !isdigit((unsigned char)text[1]))
		return text;
	for (text++; isdigit((unsigned char)*text); text++)
		if (*whole < power(10, DIGITS_MAX)) {
			*part = *part * 10 + (*text - '0');
			*whole *= 10;
		}
	return text;
}

bool pt_size_parse(const char *text, enum pt_size_kind kind, __u64 min,
		   __u64 max, __u64 *out)
{
	struct unit unit = { .times = 1 };
	__u64 number, part = 0, whole = 1;
	unsigned __int128 value;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (kind != PT_SIZE_PLAIN) {
		const char *at = fraction_parse(end, &part, &whole);

		at += *at == ' ' && at[1];
		if (!unit_parse(&unit, at, kind == PT_SIZE_RATE))
			return false;
	} else if (*end) {
		return false;
	}
	value = (unsigned __int128)number * unit.times +
		(unsigned __int128)part * unit.times / whole;
	if (unit.is_bits)
		value /= 8;
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

bool pt_size_is_plain(const char *text)
{
	text += strspn(text, "0123456789");
	return !*text || (strchr("KMGT", *text) && !text[1]);
}
