/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/ask.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/ctl_record.h"

#define WAIT_MS	10000
#define TRIES	3		/* of one that ends meanwhile, or drops this client
				 * for others */

/* ask_socket asks again where the answer is cut off. */
static int ask_socket(const char *path, const char *request,
		      char text[PT_CTL_ANSWER_SZ], struct pt_error *err)
{
	int ret = 0;

	for (int i = 0; i < TRIES; i++) {
		ret = pt_ctl_ask(path, request, text, WAIT_MS, err);
		if (ret != -ECONNRESET && ret != -EPIPE)
			break;
	}
	return ret;
}

/* ask_record: nobody has answered, because of ret, so it may have ended. */
static int ask_record(const char *path, int ret, char text[PT_CTL_ANSWER_SZ],
		      struct pt_error *err)
{
	int read;

	if (ret != -ENOENT && ret != -ECONNREFUSED && ret != -ECONNRESET &&
	    ret != -EPIPE)
		return ret;
	read = pt_ctl_record_read(path, text);
	if (read == -EPERM)
		return pt_error_set(err, PT_EXIT_HOST, read, "%s.last: another "
				    "user may have made it, so it is not shown "
				    "(ask as the user that the process ran as)",
				    path);
	return read ? ret : 0;
}

int pt_ask(json_t **answer, const char *path, const char *request,
	   struct pt_error *err)
{
	char text[PT_CTL_ANSWER_SZ], clean[PT_CTL_ANSWER_SZ];
	const char *refusal;
	json_t *o;
	bool is_status = !strcmp(request, "status");
	int ret = is_status ? ask_socket(path, request, text, err)
			    : pt_ctl_ask(path, request, text, WAIT_MS, err);

	if (ret && is_status)
		ret = ask_record(path, ret, text, err);
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
