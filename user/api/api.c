/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "api/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "memory/guard.h"
#include "xdp/cause.h"

_Static_assert((int)PT_ERROR_FAILED == PT_EXIT_FAILED &&
	       (int)PT_ERROR_USAGE == PT_EXIT_USAGE &&
	       (int)PT_ERROR_HOST == PT_EXIT_HOST &&
	       (int)PT_ERROR_PEER == PT_EXIT_PEER &&
	       (int)PT_ERROR_MISMATCH == PT_EXIT_MISMATCH &&
	       (int)PT_ERROR_UNKNOWN == PT_EXIT_UNKNOWN, "classes");

const char *pt_version(void)
{
	return PT_VERSION_TEXT;
}

void pt_allow_sigbus(void)
{
	pt_guard_allow();
}

void api_enter(void)
{
	pt_guard_bar();
	pt_cause_hold();
}

void api_leave(void)
{
	pt_cause_release();
}

/* split: the rooms' errors are "text (hint)", and the API has a field for
 * each. */
static void split(struct api_error *out, const struct pt_error *err)
{
	size_t sz = err->hint_at;

	out->hint[0] = '\0';
	snprintf(out->text, sizeof(out->text), "%s", err->text);
	if (!sz)
		return;
	out->text[sz - 1] = '\0';	/* the blank before the hint */
	snprintf(out->hint, sizeof(out->hint), "%s", err->text + sz + 1);
	out->hint[strlen(out->hint) - 1] = '\0';
}

int api_fail(struct api_error *out, int ret, const struct pt_error *err)
{
	if (!ret || !out)
		return ret;
	out->code = ret;
	out->class_ = (enum pt_error_class)err->exit;
	split(out, err);
	return ret;
}

int api_mistake(struct api_error *out, const char *fmt, ...)
{
	va_list args;

	if (!out)
		return -EINVAL;
	out->code = -EINVAL;
	out->class_ = PT_ERROR_USAGE;
	out->hint[0] = '\0';
	va_start(args, fmt);
	vsnprintf(out->text, sizeof(out->text), fmt, args);
	va_end(args);
	return -EINVAL;
}

int api_no_memory(struct api_error *out)
{
	struct pt_error why;

	return api_fail(out, pt_error_set(&why, PT_EXIT_HOST, -ENOMEM,
					  "no memory"), &why);
}
