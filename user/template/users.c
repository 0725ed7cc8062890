// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Processes that have a template's memory mapped or open. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/mappings.h"
#include "memory/processes.h"
#include "template/make.h"
#include "template/template.h"

#define SHOWN		"/memfd:" PT_TEMPLATE_MEMFD

/* is_shown: the name by which /proc shows the memory.  Other file systems have the
 * same numbers of files. */
static bool is_shown(const char *path)
{
	return !strncmp(path, SHOWN, sizeof(SHOWN) - 1);
}

enum how { NOT, OPEN, MAPPED };

/* sought: the templates whose memory is looked for, and how a process has each. */
struct sought {
	const struct pt_template *all;
	unsigned cnt;
	__u8 *how;	/* enum how, one per template */
};

static void find(struct sought *s, __u64 ino, enum how how)
{
	for (unsigned i = 0; i < s->cnt; i++)
		if (s->all[i].ino == ino && s->how[i] < how)
			s->how[i] = how;
}

static int mapping_take(void *arg, const struct pt_mapping *m)
{
	if (is_shown(m->path))
		find(arg, m->ino, MAPPED);
	return 0;
}

static void find_mapped(struct sought *s, pid_t pid)
{
	int maps = pt_mappings_open(pid);

	if (maps < 0)
		return;
	pt_mappings_each(maps, mapping_take, s);
	close(maps);
}

static void find_open(struct sought *s, pid_t pid)
{
	const struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char shown[sizeof(SHOWN)];
		struct stat st;

		if (readlinkat(dirfd(dir), entry->d_name, shown, sizeof(shown)) >=
		    (ssize_t)sizeof(SHOWN) - 1 && is_shown(shown) &&
		    !fstatat(dirfd(dir), entry->d_name, &st, 0))
			find(s, st.st_ino, OPEN);
	}
	if (dir)
		closedir(dir);
}

static void look_at(struct sought *s, pid_t pid)
{
	memset(s->how, NOT, s->cnt);
	if (pid == getpid())
		return;
	find_mapped(s, pid);
	find_open(s, pid);
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

static void note(struct pt_template_user *user, pid_t pid, bool maps)
{
	user->pid = pid;
	user->maps = maps;
	name_of(pid, user->name);
}

int pt_template_users(const struct pt_template *t, struct pt_template_user *users,
		      unsigned max, struct pt_error *err)
{
	struct pt_processes all = { 0 };
	__u8 how;
	struct sought sought = { t, 1, &how };
	unsigned cnt = 0;
	pid_t pid;
	int code;

	code = pt_processes_open(&all, err);
	if (code)
		return code;
	while ((pid = pt_processes_next(&all)) > 0) {
		if (pid == t->pid)
			continue;
		look_at(&sought, pid);
		if (how && cnt < max)
			note(&users[cnt], pid, how == MAPPED);
		cnt += !!how;
	}
	pt_processes_close(&all);
	return cnt;
}

/* is_hidden: only root and the user that put it see who uses it. */
static bool is_hidden(const struct pt_template *t)
{
	struct stat st;

	return stat(t->path, &st) && errno == EACCES;
}

int pt_template_count(const struct pt_template *templates, unsigned cnt,
		      int *children, struct pt_error *err)
{
	struct pt_processes all = { 0 };
	struct sought sought = { templates, cnt, calloc(cnt, 1) };
	pid_t pid;
	int code;

	if (!sought.how)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory to count "
				    "the children of templates");
	for (unsigned i = 0; i < cnt; i++)
		children[i] = is_hidden(&templates[i]) ? -1 : 0;
	code = pt_processes_open(&all, err);
	while (!code && (pid = pt_processes_next(&all)) > 0) {
		look_at(&sought, pid);
		for (unsigned i = 0; i < cnt; i++)
			children[i] += children[i] >= 0 && sought.how[i] &&
				       templates[i].pid != pid;
	}
	pt_processes_close(&all);
	free(sought.how);
	return code;
}
