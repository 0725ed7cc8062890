/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* json_text: texts in JSON that may have any bytes, as paths and names of devices,
 * files and processes have.  jansson refuses strings that are not UTF-8. */
#ifndef CLI_JSON_TEXT_H
#define CLI_JSON_TEXT_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* pt_json_clean returns text as a string, see pt_text_clean; null: no memory. */
static inline json_t *pt_json_clean(const char *text)
{
	size_t sz = strlen(text) + 1;
	char *clean = malloc(sz);
	json_t *o;

	if (!clean)
		return json_null();
	pt_text_clean(clean, sz, text);
	o = json_string(clean);
	free(clean);
	return o;
}

#endif
