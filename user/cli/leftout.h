/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* leftout: the memory of a process that is not in its image: options that leave it
 * out, and reports of it. */
#ifndef CLI_LEFTOUT_H
#define CLI_LEFTOUT_H

#include <jansson.h>
#include "cli/options.h"
#include "source/source.h"

struct pt_leftout_options {
	bool skip_shared, skip_userfault;
};

/* pt_leftout_options is for commands with --pid, over struct
 * pt_leftout_options. */
extern const struct pt_option pt_leftout_options[];

/* pt_leftout_check finds what an opened source leaves out, and returns 0 if the
 * options allow that; or -EPERM, with the option that would, or as
 * pt_source_find_left. */
int pt_leftout_check(struct pt_source_left *out, struct pt_source *src,
		  const struct pt_leftout_options *o, struct pt_error *err);

/* pt_leftout_json and pt_leftout_text report it; the latter prints a line, or
 * nothing. */
json_t *pt_leftout_json(const struct pt_source_left *left);
void pt_leftout_text(const struct pt_source_left *left);

#endif
