/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <pagetrim/error.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <pagetrim/check.h>
#include "base/option_names.h"

#define FMT_SZ	1024	/* bytes of a format, twice what a text has */
#define AUTO	" auto"	/* the default of some options, in the library 0 */

static const char *const names[] = {
#define X(name) name,
	PT_OPTION_NAMES(X)
#undef X
};

static bool has_dashes;

void pt_error_with_dashes(bool dashes)
{
	has_dashes = dashes;
}

/* name_at returns the bytes of the name of an option that stands at text, "{"
 * before it and "}" or " auto}" behind it; 0: there is none. */
static size_t name_at(const char *text)
{
	size_t sz;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		sz = strlen(names[i]);
		if (!strncmp(text, names[i], sz) &&
		    (text[sz] == '}' || !strncmp(text + sz, AUTO "}",
						 sizeof(AUTO))))
			return sz;
	}
	return 0;
}

/* name_option writes a name of sz bytes to to, which may overlap it, and returns
 * the end. */
static char *name_option(char *to, const char *name, size_t sz, bool dashes)
{
	memmove(dashes ? to + 2 : to, name, sz);
	if (dashes) {
		memset(to, '-', 2);
		return to + 2 + sz;
	}
	for (size_t i = 0; i < sz; i++, to++)
		*to = *to == '-' ? '_' : *to;
	return to;
}

/* name_options replaces each {name}, {--name} and {name auto} in place; no text
 * grows. */
static void name_options(char *text)
{
	char *to = text;

	while (*text) {
		bool is_command = !strncmp(text, "{--", 3);
		const char *name = text + (is_command ? 3 : 1);
		size_t sz = *text == '{' ? name_at(name) : 0;
		bool is_auto;

		if (!sz) {
			*to++ = *text++;
			continue;
		}
		is_auto = name[sz] == ' ';	/* to may overtake it */
		text += name + sz + 1 - text;
		to = name_option(to, name, sz, has_dashes || is_command);
		if (!is_auto)
			continue;
		text += strlen(AUTO);
		to = mempcpy(to, has_dashes ? AUTO : " 0",
			     has_dashes ? strlen(AUTO) : 2);
	}
	*to = '\0';
}

/* hint_of returns where the parentheses begin that end text; 0: there are none,
 * or nothing before them. */
static size_t hint_of(const char *text)
{
	size_t at = strlen(text);
	int depth = 0;

	if (!at || text[at - 1] != ')')
		return 0;
	while (at-- > 0) {
		depth += text[at] == ')';
		depth -= text[at] == '(';
		if (!depth)
			return at && text[at - 1] == ' ' ? at : 0;
	}
	return 0;
}

static bool ends_with(const char *text, const char *tail)
{
	size_t sz = strlen(text);
	size_t tail_sz = strlen(tail);

	return sz >= tail_sz && !strcmp(text + sz - tail_sz, tail);
}

/* ends_with_operand: fmt ends with "%s", or with a limit as "%.200s". */
static bool ends_with_operand(const char *fmt)
{
	size_t at = strlen(fmt);

	if (!at || fmt[--at] != 's')
		return false;
	while (at && strchr(".0123456789", fmt[at - 1]))
		at--;
	return at && fmt[at - 1] == '%';
}

void pt_error_vprint(char *text, size_t sz, const char *fmt, va_list args)
{
	char named[FMT_SZ];

	pt_check(strlen(fmt) < sizeof(named));
	strcpy(named, fmt);
	name_options(named);
	vsnprintf(text, sz, named, args);
}

void pt_error_print(char *text, size_t sz, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	pt_error_vprint(text, sz, fmt, args);
	va_end(args);
}

const char *pt_error_own(char to[PT_ERROR_OWN_SZ], const char *text)
{
	snprintf(to, PT_ERROR_OWN_SZ, "%s", text);
	name_options(to);
	return to;
}

int pt_error_set(struct pt_error *err, enum pt_exit exit, int code,
		 const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	err->exit = exit;
	va_start(args, fmt);
	pt_error_vprint(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	/* An operand elsewhere, "eth0 (old)", is no hint. */
	err->hint_at = ends_with(fmt, ")") || ends_with_operand(fmt)
		? hint_of(err->text) : 0;
	return code;
}
