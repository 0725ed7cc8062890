/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* profile: the time of each stage of a transfer, as JSON and as text. */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include <jansson.h>
#include <stdio.h>

#include "base/stages.h"

/* pt_profile_json: names has cnt entries; keys: pagetrim-send(8). */
json_t *pt_profile_json(const struct pt_profile *p,
			const struct pt_stage_name *names, unsigned cnt);

/* pt_profile_text prints a table.  `what` names the threads' owner. */
void pt_profile_text(FILE *out, const struct pt_profile *p, const char *what,
		     const struct pt_stage_name *names, unsigned cnt);

#endif
