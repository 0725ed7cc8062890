/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* text: checks of strings from the network before they are printed, logged or
 * written as JSON: UTF-8, no control characters, no NUL.  Pure functions, any
 * thread. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* pt_text_is_clean: the sz bytes are UTF-8 (shortest forms, no surrogates)
 * without U+0000..U+001F and U+007F..U+009F. */
bool pt_text_is_clean(const void *bytes, size_t sz);

/* PT_TEXT_CLEAN_SZ: bytes that a string of less than sz bytes needs, at most. */
#define PT_TEXT_CLEAN_SZ(sz)	(4 * (sz))

/* pt_text_clean copies the string from to to, cut at a character's end to fit
 * to_sz bytes (>= 1) with its NUL.  A byte that is not clean is written as \xff, and a
 * mark that turns the direction of text as \u202e, so that names stay apart.  A clean
 * copy stays as it is when it is copied again. */
void pt_text_clean(char *to, size_t to_sz, const char *from);

#endif
