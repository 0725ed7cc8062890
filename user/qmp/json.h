/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* json: reads JSON of others within bounds.  Threads: no state. */
#ifndef QMP_JSON_H
#define QMP_JSON_H

#include <jansson.h>
#include <stddef.h>

/* pt_json_object returns the object that the sz bytes are, for json_decref; NULL
 * if they are none, if an object or array is nested deeper than depth_max, or if
 * an object has a key twice. */
json_t *pt_json_object(const char *bytes, size_t sz, unsigned int depth_max);

/* pt_json_text returns the string behind key, or "" if there is none. */
const char *pt_json_text(const json_t *object, const char *key);

#endif
