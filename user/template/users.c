// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Processes that have a template's memory mapped or open. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/processes.h"
#include "source/process_maps.h"
#include "template/make.h"
#include "template/template.h"

#define SHOWN	"/memfd:" PT_TEMPLATE_MEMFD

/* is_shown: the name by which /proc shows the memory.  Other file systems have the
 * same numbers of files. */
static bool is_shown(const char *path)
{
	return !strncmp(path, SHOWN, sizeof(SHOWN) - 1);
}

static bool maps_it(pid_t pid, const struct pt_template *t)
{
	struct pt_maps_line line;
	char path[32], *text = NULL;
	bool is_found = false;
	size_t room = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	in = fopen(path, "re");
	while (in && !is_found && getline(&text, &room, in) > 0)
		is_found = pt_maps_line_parse(&line, text) && line.ino == t->ino &&
			   is_shown(line.path);
	free(text);
	if (in)
		fclose(in);
	return is_found;
}

static bool has_open(pid_t pid, const struct pt_template *t)
{
	const struct dirent *entry;
	bool is_found = false;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && !is_found && (entry = readdir(dir))) {
		char shown[sizeof(SHOWN)];
		struct stat st;

		if (readlinkat(dirfd(dir), entry->d_name, shown, sizeof(shown)) <
		    (ssize_t)sizeof(SHOWN) - 1)
			continue;
		is_found = !strncmp(shown, SHOWN, sizeof(SHOWN) - 1) &&
			   !fstatat(dirfd(dir), entry->d_name, &st, 0) &&
			   st.st_ino == t->ino;
	}
	if (dir)
		closedir(dir);
	return is_found;
}

static void name_of(pid_t pid, char name[16])
{
	char path[32];
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	in = fopen(path, "re");
	if (!in || !fgets(name, 16, in))
		snprintf(name, 16, "?");
	name[strcspn(name, "\n")] = '\0';
	if (in)
		fclose(in);
}

int pt_template_users(const struct pt_template *t, struct pt_template_user *users,
		      unsigned max, bool *are_all, struct pt_error *err)
{
	struct pt_processes all = { 0 };
	unsigned cnt = 0;
	pid_t pid;
	int code;

	code = pt_processes_open(&all, err);
	if (code)
		return code;
	while ((pid = pt_processes_next(&all)) > 0) {
		bool maps;

		if (pid == t->pid || pid == getpid())
			continue;
		maps = maps_it(pid, t);
		if (!maps && !has_open(pid, t))
			continue;
		if (cnt < max) {
			users[cnt].pid = pid;
			users[cnt].maps = maps;
			name_of(pid, users[cnt].name);
		}
		cnt++;
	}
	*are_all = pt_processes_are_all(&all);
	pt_processes_close(&all);
	return cnt;
}
