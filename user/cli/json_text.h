/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* json_text: texts in JSON that may have any bytes, as paths and names of devices,
 * files and processes have.  jansson refuses strings that are not UTF-8.  Others are
 * their true text: PT_JSON_ASCII escapes what a terminal would heed. */
#ifndef CLI_JSON_TEXT_H
#define CLI_JSON_TEXT_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define PT_JSON_ASCII	JSON_ENSURE_ASCII	/* for json_dumps and its like */

/* pt_json_clean returns text as a string: if it is no UTF-8, as pt_text_clean writes
 * it; null: no memory. */
static inline json_t *pt_json_clean(const char *text)
{
	size_t sz = PT_TEXT_CLEAN_SZ(strlen(text) + 1);
	json_t *o = json_string(text);
	char *clean = o ? NULL : malloc(sz);

	if (o)
		return o;
	if (!clean)
		return json_null();
	pt_text_clean(clean, sz, text);
	o = json_string(clean);
	free(clean);
	return o;
}

#endif
