// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/private_mapper.h"

#include <stdio.h>
#include <stdlib.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "memory/processes.h"
#include "source/process_maps.h"

#define KIB	1024

/* is_of: the line is a private, writable mapping of the file. */
static bool is_of(const struct pt_maps_line *line, pid_t pid,
		  const struct stat *file)
{
	struct stat st;

	return line->is_private && line->is_writable &&
	       line->ino == file->st_ino &&
	       pt_maps_line_file(line, pid, &st) && st.st_dev == file->st_dev;
}

static FILE *open_of(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

static bool maps_it(pid_t pid, const struct stat *file)
{
	FILE *in = open_of(pid, "maps");
	struct pt_maps_line line;
	bool is_found = false;
	char *text = NULL;
	size_t room = 0;

	while (in && !is_found && getline(&text, &room, in) > 0)
		is_found = pt_maps_line_parse(&line, text) &&
			   is_of(&line, pid, file);
	free(text);
	if (in)
		fclose(in);
	return is_found;
}

/* own_kib returns how much a line of smaps adds. */
static __u64 own_kib(const char *text)
{
	unsigned long long kib;

	return sscanf(text, "Anonymous: %llu", &kib) == 1 ||
	       sscanf(text, "Private_Hugetlb: %llu", &kib) == 1 ? kib : 0;
}

/* own_sz adds up the process's own pages, as smaps tells them. */
static __u64 own_sz(pid_t pid, const struct stat *file)
{
	FILE *in = open_of(pid, "smaps");
	struct pt_maps_line line;
	char *text = NULL;
	bool is_in = false;	/* the mapping whose lines follow is of the file */
	size_t room = 0;
	__u64 sz = 0;

	while (in && getline(&text, &room, in) > 0)
		if (text[0] >= 'A' && text[0] <= 'Z')
			sz += is_in ? own_kib(text) * KIB : 0;
		else
			is_in = pt_maps_line_parse(&line, text) &&
				is_of(&line, pid, file);
	free(text);
	if (in)
		fclose(in);
	return sz;
}

/* may_be_ram: a write to a private mapping takes a page of a tmpfs, too, so that such
 * a file may have zeroes for data. */
static bool may_be_ram(const char *path, struct stat *file)
{
	struct statfs fs;

	return !stat(path, file) && S_ISREG(file->st_mode) &&
	       (!file->st_blocks ||
		(!statfs(path, &fs) && fs.f_type == TMPFS_MAGIC));
}

void pt_private_mapper_find(struct pt_private_mapper *out, const char *path)
{
	struct pt_processes all = { 0 };
	struct stat file;
	pid_t pid;

	*out = (struct pt_private_mapper){ 0 };
	if (!may_be_ram(path, &file) || pt_processes_open(&all, NULL))
		return;
	while ((pid = pt_processes_next(&all)) > 0) {
		__u64 sz = maps_it(pid, &file) ? own_sz(pid, &file) : 0;

		if (sz > out->own_sz)
			*out = (struct pt_private_mapper){ pid, sz };
	}
	pt_processes_close(&all);
}
