/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/ask.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/ctl_record.h"

#define WAIT_MS	10000

int pt_ask(json_t **answer, const char *path, const char *request,
	   struct pt_error *err)
{
	char text[PT_CTL_ANSWER_SZ], clean[PT_CTL_ANSWER_SZ];
	const char *refusal;
	json_t *o;
	int ret = pt_ctl_ask(path, request, text, WAIT_MS, err);

	/* Nobody listens there: it has ended. */
	if ((ret == -ENOENT || ret == -ECONNREFUSED) &&
	    !strcmp(request, "status") && !pt_ctl_record_read(path, text))
		ret = 0;
	if (ret)
		return ret;
	o = json_loads(text, 0, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return pt_error_set(err, PT_EXIT_HOST, -EPROTO, "%s: not the "
				    "answer of a sender (is it the PATH of "
				    "--control?)", path);
	}
	refusal = json_string_value(json_object_get(o, "error"));
	if (refusal) {
		pt_text_clean(clean, sizeof(clean), refusal);
		ret = pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "%s: %s", path,
				   clean);
		json_decref(o);
		return ret;
	}
	*answer = o;
	return 0;
}
