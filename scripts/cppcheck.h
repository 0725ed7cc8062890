/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cppcheck.h: macros of libraries' headers, which cppcheck does not read, as it
 * can follow them.  For scripts/lint.sh alone; in a file, since cppcheck 2.17
 * ends a macro of its command line at the first semicolon. */
#define SEC(name)
#define LIBBPF_OPTS(type, name, ...) struct type name = { __VA_ARGS__ }
#define json_array_foreach(array, idx, row)				\
	for (idx = 0; (row = json_array_get(array, idx)); idx++)
#define json_object_foreach(object, key, value)				\
	for (; (key = json_next(object, &value));)
