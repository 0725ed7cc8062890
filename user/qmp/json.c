/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "qmp/json.h"

#include <stdbool.h>

/* is_shallow: brackets outside strings open at most depth_max levels at once.  The
 * answer has no meaning for bytes that are no JSON; the parser refuses those. */
static bool is_shallow(const char *bytes, size_t sz, unsigned int depth_max)
{
	unsigned int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < sz; i++) {
		switch (bytes[i]) {
		case '\\':
			i += in_string;		/* skip the escaped byte */
			break;
		case '"':
			in_string = !in_string;
			break;
		case '{':
		case '[':
			depth += !in_string;
			if (depth > depth_max)
				return false;
			break;
		case '}':
		case ']':
			depth -= !in_string && depth;
			break;
		}
	}
	return true;
}

json_t *pt_json_object(const char *bytes, size_t sz, unsigned int depth_max)
{
	json_t *value;

	if (!is_shallow(bytes, sz, depth_max))
		return NULL;
	value = json_loadb(bytes, sz, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

const char *pt_json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}
