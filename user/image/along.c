// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/along.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/name.h"

const char *pt_along_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *pt_along_fault(const char *path)
{
	struct stat st;

	if (lstat(path, &st) || !S_ISREG(st.st_mode))
		return "not a regular file";
	return pt_name_file_fault(pt_along_name(path));
}

/* is_entry: "." and ".." are none, and the two tables are read as such. */
static int is_entry(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
	       strcmp(entry->d_name, PT_NAME_TABLE) &&
	       strcmp(entry->d_name, PT_NAME_UNREADABLE);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_memory(const char *image, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "%s: no memory for the names of its files", image);
}

/* path_add takes path over. */
static int path_add(struct pt_along *a, char *path)
{
	char **paths = realloc(a->paths, (a->cnt + 1) * sizeof(*paths));

	if (!paths) {
		free(path);
		return -ENOMEM;
	}
	a->paths = paths;
	paths[a->cnt++] = path;
	return 0;
}

int pt_along_add(struct pt_along *a, const char *image,
		 const char *(*fault)(void *arg, const char *path),
		 void (*left)(const char *path, const char *why), void *arg,
		 struct pt_error *err)
{
	struct dirent **entries;
	char *folder, *path;
	const char *why;
	int cnt, code = 0;

	if (asprintf(&folder, "%s.with", image) < 0)
		return no_memory(image, err);
	cnt = scandir(folder, &entries, is_entry, by_name);
	if (cnt < 0 && errno != ENOENT && errno != ENOTDIR &&
	    errno != ENAMETOOLONG)
		code = pt_error_set(err, PT_EXIT_HOST, -errno, "%s: cannot be "
				    "read: %s%s", folder, strerror(errno),
				    pt_files_remedy(-errno));
	for (int i = 0; i < cnt; i++) {
		if (!code && asprintf(&path, "%s/%s", folder,
				      entries[i]->d_name) < 0)
			code = no_memory(image, err);
		else if (!code && (why = fault(arg, path))) {
			left(path, why);
			free(path);
		} else if (!code && path_add(a, path)) {
			code = no_memory(image, err);
		}
		free(entries[i]);
	}
	if (cnt >= 0)
		free(entries);
	free(folder);
	return code;
}

void pt_along_free(struct pt_along *a)
{
	for (__u32 i = 0; i < a->cnt; i++)
		free(a->paths[i]);
	free(a->paths);
	*a = (struct pt_along){ 0 };
}
