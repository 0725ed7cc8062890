/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* config: a file of options, as --config names it; see pagetrim.conf(5).
 *
 *	# a comment
 *	NAME = VALUE
 *
 * NAME is a long option without its dashes, VALUE the rest of the line without
 * the blanks around it; options.c gives both their meaning.  One thread.
 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include <stdbool.h>
#include <pagetrim/error.h>

#define PT_CONFIG_SZ_MAX	65536	/* bytes of a file */

struct pt_config {
	char *next;		/* the text behind the last line that was read */
	unsigned int line;	/* the last line that was read, from 1 */
	char *name, *value;	/* of that line; value NULL: it has no '=' */
};

/* pt_config_open reads path.  The text stays until the next call, so values
 * may be kept.
 *   -EINVAL  not a regular file, longer than PT_CONFIG_SZ_MAX, or has a NUL
 *   or as open(2) and read(2) say */
int pt_config_open(struct pt_config *c, const char *path, struct pt_error *err);

/* pt_config_next reads the next line that is no comment and not blank; false:
 * there is none. */
bool pt_config_next(struct pt_config *c);

#endif
