/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* config: reads the lines of a file of settings; see pagetrim.conf(5).
 *
 *	# a comment
 *	[SECTION]
 *	NAME = VALUE
 *
 * VALUE is the rest of the line without the blanks around it; the caller gives
 * sections, names and values their meaning.  Threads: one at a time.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <pagetrim/error.h>

#define PT_CONFIG_SZ_MAX	65536	/* bytes of a file */

struct pt_config {
	char *text;		/* all of the file */
	char *next;		/* the text behind the last line that was read */
	unsigned int line;	/* the last line that was read, from 1 */
	bool is_section;	/* that line is [name] */
	char *name, *value;	/* of that line; value NULL: it has no '=' */
};

/* pt_config_open reads path, the value of an option such as "{peers}", by which
 * errors name it.  On success the caller closes it.
 *   -EINVAL  not a regular file, longer than PT_CONFIG_SZ_MAX, or has a NUL
 *   -ENOMEM, or as open(2) and read(2) say */
int pt_config_open(struct pt_config *c, const char *option, const char *path,
		   struct pt_error *err);

/* pt_config_next reads the next line that is no comment and not blank; false:
 * there is none. */
bool pt_config_next(struct pt_config *c);

/* pt_config_close frees the text, with all names and values. */
void pt_config_close(struct pt_config *c);

#endif
