/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* answer: requests at a control socket, answered by JSON objects; for senders and
 * receivers. */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include <jansson.h>
#include <stdio.h>

#include "cli/json_text.h"
#include "ctl/ctl.h"

static inline json_t *pt_answer_refuse(const char *text)
{
	return json_pack("{s:o}", "error", pt_json_clean(text));
}

/* pt_answer_all answers up to max pending requests; to returns the answer to a
 * line. */
static inline void pt_answer_all(struct pt_ctl *ctl, unsigned max,
				 json_t *(*to)(void *arg, const char *line),
				 void *arg)
{
	char line[PT_CTL_LINE_SZ], text[PT_CTL_ANSWER_SZ];

	for (unsigned i = 0; i < max && pt_ctl_take(ctl, line); i++) {
		json_t *answer = to(arg, line);
		size_t sz = json_dumpb(answer, text, sizeof(text) - 1,
				       PT_JSON_ASCII);

		json_decref(answer);
		if (!sz || sz >= sizeof(text))
			sz = sprintf(text, "{\"error\": \"no memory\"}");
		text[sz] = '\0';
		pt_ctl_answer(ctl, text);
	}
}

#endif
