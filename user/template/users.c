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

#define SHOWN		"/memfd:" PT_TEMPLATE_MEMFD
#define HELD_MAX	64	/* templates of which one process has memory */

/* is_shown: the name by which /proc shows the memory.  Other file systems have the
 * same numbers of files. */
static bool is_shown(const char *path)
{
	return !strncmp(path, SHOWN, sizeof(SHOWN) - 1);
}

/* held: the templates' memories that a process has, by inode. */
struct held {
	unsigned cnt;
	struct {
		__u64 ino;
		bool maps;
	} all[HELD_MAX];
};

static void add(struct held *h, __u64 ino, bool maps)
{
	for (unsigned i = 0; i < h->cnt; i++)
		if (h->all[i].ino == ino)
			return;
	if (h->cnt == HELD_MAX)
		return;
	h->all[h->cnt].ino = ino;
	h->all[h->cnt++].maps = maps;
}

static void add_mapped(struct held *h, pid_t pid)
{
	struct pt_maps_line line;
	char path[32], *text = NULL;
	size_t room = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	in = fopen(path, "re");
	while (in && getline(&text, &room, in) > 0)
		if (pt_maps_line_parse(&line, text) && is_shown(line.path))
			add(h, line.ino, true);
	free(text);
	if (in)
		fclose(in);
}

static void add_open(struct held *h, pid_t pid)
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
			add(h, st.st_ino, false);
	}
	if (dir)
		closedir(dir);
}

/* look_at finds what the process has; mappings first, which count as such. */
static void look_at(struct held *h, pid_t pid)
{
	h->cnt = 0;
	if (pid == getpid())
		return;
	add_mapped(h, pid);
	add_open(h, pid);
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
	struct held held;
	unsigned cnt = 0;
	pid_t pid;
	int code;

	code = pt_processes_open(&all, err);
	if (code)
		return code;
	while ((pid = pt_processes_next(&all)) > 0) {
		if (pid == t->pid)
			continue;
		look_at(&held, pid);
		for (unsigned i = 0; i < held.cnt; i++) {
			if (held.all[i].ino != t->ino)
				continue;
			if (cnt < max)
				note(&users[cnt], pid, held.all[i].maps);
			cnt++;
		}
	}
	pt_processes_close(&all);
	return cnt;
}

int pt_template_count(const struct pt_template *templates, unsigned cnt,
		      unsigned *children, struct pt_error *err)
{
	struct pt_processes all = { 0 };
	struct held held;
	pid_t pid;
	int code;

	memset(children, 0, cnt * sizeof(*children));
	code = pt_processes_open(&all, err);
	if (code)
		return code;
	while ((pid = pt_processes_next(&all)) > 0) {
		look_at(&held, pid);
		for (unsigned i = 0; i < held.cnt; i++)
			for (unsigned k = 0; k < cnt; k++)
				children[k] += templates[k].pid != pid &&
					       templates[k].ino == held.all[i].ino;
	}
	pt_processes_close(&all);
	return 0;
}
