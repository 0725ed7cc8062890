/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/ask.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/ctl_record.h"

#define WAIT_MS	10000
#define TRIES	3		/* of one that ends meanwhile, or drops this client
				 * for others */

/* to: whom to ask, and how long to wait. */
struct to {
	const char *path;
	uid_t uid;
	int wait_ms;
	bool has_record;
};

/* ask_socket asks again where the answer to a query is cut off. */
static int ask_socket(const struct to *to, const char *request,
		      char text[PT_CTL_ANSWER_SZ], struct pt_error *err)
{
	int tries = strcmp(request, "status") ? 1 : TRIES;
	int ret = 0;

	for (int i = 0; i < tries; i++) {
		ret = pt_ctl_ask(to->path, to->uid, request, text, to->wait_ms,
				 err);
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

static int strange(const char *path, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EPROTO, "%s: not an answer of "
			    "pagetrim (is it the PATH of --control?)", path);
}

static int ask(json_t **answer, const struct to *to, const char *request,
	       struct pt_error *err)
{
	char text[PT_CTL_ANSWER_SZ], clean[PT_CTL_ANSWER_SZ];
	int ret = ask_socket(to, request, text, err);
	const char *refusal;
	json_t *o;

	if (ret && to->has_record && !strcmp(request, "status"))
		ret = ask_record(to->path, ret, text, err);
	if (ret)
		return ret;
	o = json_loads(text, 0, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return strange(to->path, err);
	}
	refusal = json_string_value(json_object_get(o, "error"));
	if (refusal) {
		pt_text_clean(clean, sizeof(clean), refusal);
		ret = pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "%s: %s",
				   to->path, clean);
		json_decref(o);
		return ret;
	}
	*answer = o;
	return 0;
}

int pt_ask(json_t **answer, const char *path, const char *request,
	   struct pt_error *err)
{
	const struct to to = { path, PT_CTL_ANYBODY, WAIT_MS, true };

	return ask(answer, &to, request, err);
}

int pt_ask_entry(json_t **answer, const struct pt_ctl_entry *entry,
		 const char *request, int wait_ms, struct pt_error *err)
{
	const struct to to = { entry->path, entry->uid, wait_ms, false };

	return ask(answer, &to, request, err);
}
