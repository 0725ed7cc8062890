// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/headroom.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_SZ_MIN	(64ULL << 20)
#define SPARE_SHIFT	7	/* or a 128th: twice the extra cost of a page */

/* version: a version of cgroups and its file names.  A limit covers the cgroups
 * below it, and so does the cache. */
struct version {
	const char *type;	/* of its file system */
	const char *limit, *charged;
	const char *inactive, *active;	/* cache, in memory.stat */
};

static const struct version v1 = {
	"cgroup", "memory.limit_in_bytes", "memory.usage_in_bytes",
	"total_inactive_file", "total_active_file",
};

static const struct version v2 = {
	"cgroup2", "memory.max", "memory.current",
	"inactive_file", "active_file",
};

static __attribute__((format(printf, 1, 2))) FILE *
open_at(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;
	int sz;

	va_start(args, fmt);
	sz = vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return sz < (int)sizeof(path) ? fopen(path, "re") : NULL;
}

/* look_up returns the number after key, or the first number if key is "". */
static bool look_up(FILE *f, const char *key, __u64 *value)
{
	size_t key_sz = strlen(key);
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		char *end;

		if (strncmp(line, key, key_sz) ||
		    (key_sz && line[key_sz] != ' '))
			continue;
		*value = strtoull(line + key_sz, &end, 10);
		return end > line + key_sz;	/* else "max": no limit */
	}
	return false;
}

/* number_in reads the single number of DIR/name. */
static bool number_in(const char *dir, const char *name, __u64 *value)
{
	FILE *f = open_at("%s/%s", dir, name);
	bool is_there = f && look_up(f, "", value);

	if (f)
		fclose(f);
	return is_there;
}

/* cache returns the bytes in memory.stat that the kernel could drop. */
static __u64 cache(const char *dir, const struct version *v)
{
	FILE *f = open_at("%s/memory.stat", dir);
	__u64 inactive = 0, active = 0;

	if (!f)
		return 0;
	look_up(f, v->inactive, &inactive);
	rewind(f);
	look_up(f, v->active, &active);
	fclose(f);
	return inactive + active;
}

/* --- one limit ------------------------------------------------------- */

static __u64 less_spare(__u64 sz)
{
	__u64 spare = sz >> SPARE_SHIFT;

	if (spare < SPARE_SZ_MIN)
		spare = SPARE_SZ_MIN;
	return sz > spare ? sz - spare : 0;
}

static void look_at_host(struct pt_headroom *room, const char *root)
{
	FILE *f = open_at("%s/proc/meminfo", root);
	__u64 kib;

	if (f && look_up(f, "MemAvailable:", &kib))
		room->sz = less_spare(kib << 10);
	if (f)
		fclose(f);
}

static void look_at_cgroup(struct pt_headroom *room, const char *dir,
			   const struct version *v)
{
	__u64 limit_sz, charged_sz, sz;

	if (!number_in(dir, v->limit, &limit_sz) ||
	    !number_in(dir, v->charged, &charged_sz))
		return;
	sz = cache(dir, v);
	sz = sz < charged_sz ? sz : charged_sz;
	charged_sz -= sz;
	sz = less_spare(limit_sz > charged_sz ? limit_sz - charged_sz : 0);
	if (sz >= room->sz)
		return;
	room->sz = sz;
	room->limit_sz = limit_sz;
	snprintf(room->limit, sizeof(room->limit), "%s/%s", dir, v->limit);
}

/* --- the cgroups' paths ---------------------------------------------- */

/* has_word: a comma-separated list contains the word. */
static bool has_word(const char *words, const char *word)
{
	size_t sz = strlen(word);

	while (words) {
		if (!strncmp(words, word, sz) &&
		    (words[sz] == ',' || !words[sz]))
			return true;
		words = strchr(words, ',');
		words = words ? words + 1 : NULL;
	}
	return false;
}

/* own_path returns the process's cgroup of a version, "/a/b". */
static bool own_path(const char *root, const struct version *v,
		     char path[PATH_MAX])
{
	FILE *f = open_at("%s/proc/self/cgroup", root);
	char line[PATH_MAX + 128];
	bool found = false;

	/* "ID:CONTROLLER,CONTROLLER:PATH"; version 2 is "0::PATH" */
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *words = strchr(line, ':');
		char *at = words ? strchr(words + 1, ':') : NULL;

		if (!at)
			continue;
		*at++ = '\0';
		at[strcspn(at, "\n")] = '\0';
		if (v == &v2 ? !words[1] : has_word(words + 1, "memory")) {
			snprintf(path, PATH_MAX, "%.*s", PATH_MAX - 1, at);
			found = true;
		}
	}
	if (f)
		fclose(f);
	return found;
}

/* climb reads the limits of the cgroup path, below the folder point, and of its
 * ancestors. */
static void climb(struct pt_headroom *room, const char *point, const char *path,
		  const struct version *v)
{
	char dir[PATH_MAX];
	int sz = snprintf(dir, sizeof(dir), "%s%s", point, path);

	if (sz >= (int)sizeof(dir))
		return;
	while (strlen(dir) > strlen(point)) {
		look_at_cgroup(room, dir, v);
		*strrchr(dir, '/') = '\0';
	}
	look_at_cgroup(room, point, v);
}

/* below returns the rest of path after the folder top: "" or "/b/c"; NULL if
 * path is not within it. */
static const char *below(const char *path, const char *top)
{
	size_t sz = strcmp(top, "/") ? strlen(top) : 0;

	if (strncmp(path, top, sz) || (path[sz] && path[sz] != '/') ||
	    !strncmp(path + sz, "/..", 3))
		return NULL;
	return strcmp(path + sz, "/") ? path + sz : "";
}

static void look_at_mount(struct pt_headroom *room, const char *root,
			  const char *line)
{
	char top[1024], point[1024], at[PATH_MAX], path[PATH_MAX];
	char type[16], options[256] = "";
	const char *tail = strstr(line, " - ");
	const struct version *v;
	const char *rest;

	/* "ID PARENT MAJ:MIN TOP POINT OPTIONS ... - TYPE SOURCE OPTIONS" */
	if (!tail || sscanf(tail, " - %15s %*s %255s", type, options) < 1 ||
	    sscanf(line, "%*d %*d %*s %1023s %1023s", top, point) != 2)
		return;
	v = !strcmp(type, v2.type) ? &v2 : &v1;
	if (strcmp(type, v->type) ||
	    (v == &v1 && !has_word(options, "memory")) ||
	    !own_path(root, v, path))
		return;
	rest = below(path, top);
	if (!rest)
		return;		/* other processes' cgroup */
	snprintf(at, sizeof(at), "%s%s", root, point);
	climb(room, at, rest, v);
}

void pt_headroom_look(struct pt_headroom *room, const char *root)
{
	size_t line_sz = 0;
	char *line = NULL;
	FILE *mounts;

	*room = (struct pt_headroom){ .sz = ~0ULL };
	look_at_host(room, root);
	mounts = open_at("%s/proc/self/mountinfo", root);
	if (!mounts)
		return;
	while (getline(&line, &line_sz, mounts) > 0)
		look_at_mount(room, root, line);
	free(line);
	fclose(mounts);
}
