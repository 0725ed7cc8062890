// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/table.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/name.h"

static int refuse(const char *path, const char *cause, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: %s (see "
			    "docs/process-image.md)", path, cause);
}

/* number reads a whole number that is not negative. */
static bool number(const json_t *row, const char *key, __u64 *out)
{
	const json_t *value = json_object_get(row, key);

	*out = json_integer_value(value);
	return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool segment_read(struct pt_segment *seg, const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));

	if (!name || strlen(name) >= sizeof(seg->name))
		return false;
	memcpy(seg->name, name, strlen(name));
	return number(row, "gfn", &seg->gfn) && number(row, "bytes", &seg->sz);
}

/* offsets_are_right: the segments' bytes are where the layout has them. */
static bool offsets_are_right(const struct pt_layout *l, const json_t *rows)
{
	__u64 off, gfn, idx;

	for (size_t i = 0; i < json_array_size(rows); i++)
		if (!number(json_array_get(rows, i), "offset", &off) ||
		    !number(json_array_get(rows, i), "gfn", &gfn) ||
		    !pt_layout_find(l, gfn, &idx) ||
		    pt_layout_image_off(l, idx) != off)
			return false;
	return true;
}

static int layout_make(struct pt_layout **out, const char *path,
		       const json_t *table, struct pt_error *err)
{
	const json_t *rows = json_object_get(table, "segments");
	size_t cnt = json_array_size(rows);
	struct pt_error why = { 0 };
	struct pt_segment *segs;
	int code = 0;

	if (json_integer_value(json_object_get(table, "version")) != 1 || !cnt ||
	    cnt > PT_SEGMENTS_MAX)
		return refuse(path, "not a table of segments of version 1", err);
	segs = calloc(cnt, sizeof(*segs));
	if (!segs)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to read it", path);
	for (size_t i = 0; !code && i < cnt; i++)
		if (!segment_read(&segs[i], json_array_get(rows, i)))
			code = refuse(path, "a segment lacks name, gfn or bytes",
				      err);
	if (!code)
		code = pt_layout_create(out, segs, cnt, &why);
	free(segs);
	if (code == -ENOMEM)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: no memory to read "
				    "it", path);
	if (code && why.text[0])
		return refuse(path, why.text, err);
	if (!code && !offsets_are_right(*out, rows)) {
		pt_layout_free(*out);
		*out = NULL;
		code = refuse(path, "its offsets are not those of an image that "
			      "was received", err);
	}
	return code;
}

int pt_table_read(struct pt_layout **out, const char *image, struct pt_error *err)
{
	char path[PATH_MAX];
	json_error_t fault;
	json_t *table;
	int fd, code;

	*out = NULL;
	if (snprintf(path, sizeof(path), "%s.with/" PT_NAME_TABLE, image) >=
	    (int)sizeof(path))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 :
		       pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s%s", path,
				    strerror(errno), pt_files_remedy(-errno));
	table = json_loadfd(fd, JSON_REJECT_DUPLICATES, &fault);
	close(fd);
	if (!table)
		return refuse(path, fault.text, err);
	code = layout_make(out, path, table, err);
	json_decref(table);
	return code;
}
