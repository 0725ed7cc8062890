/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The first difference between two descriptions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "qmp/json.h"
#include "vmm/qemu.h"

#define DEPTH_MAX	8
#define VALUE_SZ	80	/* bytes of a value in an error */
#define KEY_SZ		120

/* difference: where two descriptions differ first. */
struct difference {
	char key[KEY_SZ];		/* "devices.net0.type" */
	const json_t *mine, *theirs;	/* NULL: it has none */
};

static bool differ(const json_t *mine, const json_t *theirs,
		   struct difference *d);

/* differ_at compares the values behind key. */
static bool differ_at(const json_t *mine, const json_t *theirs,
		      const char *key, struct difference *d)
{
	size_t sz = strlen(d->key);

	snprintf(d->key + sz, sizeof(d->key) - sz, "%s%s", sz ? "." : "", key);
	if (differ(json_object_get(mine, key), json_object_get(theirs, key),
		   d))
		return true;
	d->key[sz] = '\0';
	return false;
}

/* differ: d receives the first difference.  The depth was bounded as they were
 * read. */
static bool differ(const json_t *mine, const json_t *theirs,
		   struct difference *d)
{
	const char *key;
	json_t *value;

	d->mine = mine;
	d->theirs = theirs;
	if (!json_is_object(mine) || !json_is_object(theirs))
		return !json_equal(mine, theirs);
	json_object_foreach((json_t *)mine, key, value)
		if (differ_at(mine, theirs, key, d))
			return true;
	json_object_foreach((json_t *)theirs, key, value)
		if (!json_object_get(mine, key) &&
		    differ_at(mine, theirs, key, d))
			return true;
	return false;
}

static void value_print(char to[VALUE_SZ], const json_t *value)
{
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT |
					JSON_SORT_KEYS) : NULL;

	pt_text_clean(to, VALUE_SZ, text ? text : "absent");
	free(text);
}

int pt_qemu_match(const char *mine, const char *theirs, struct pt_error *err)
{
	json_t *ours = pt_json_object(mine, strlen(mine), DEPTH_MAX);
	json_t *peer = strlen(theirs) < PT_QEMU_TEXT_MAX
		? pt_json_object(theirs, strlen(theirs), DEPTH_MAX) : NULL;
	char here[VALUE_SZ], there[VALUE_SZ], key[KEY_SZ];
	struct difference d = { .key = "" };
	int code = 0;

	if (!ours || !peer) {
		code = pt_error_set(err, PT_EXIT_PEER, -EPROTO, "the source's "
				    "description of its guest is not readable");
	} else if (differ(ours, peer, &d)) {
		value_print(here, d.mine);
		value_print(there, d.theirs);
		pt_text_clean(key, sizeof(key), d.key);
		code = pt_error_set(err, PT_EXIT_HOST, -EINVAL, "the guests "
				    "differ in %s: %s at the source, %s at the "
				    "destination (start both QEMUs with the "
				    "same machine, memory, CPU and devices)",
				    key, there, here);
	}
	json_decref(ours);
	json_decref(peer);
	return code;
}
