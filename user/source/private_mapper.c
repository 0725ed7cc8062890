// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/private_mapper.h"

#include <stdio.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memory/mappings.h"
#include "memory/processes.h"

#define KIB	1024

/* look: for the file in a process. */
struct look {
	const struct stat *file;
	pid_t pid;
	__u64 own_sz;
};

/* is_of: the mapping is a private, writable one of the file. */
static int is_of(void *arg, const struct pt_mapping *m)
{
	const struct look *l = arg;
	struct stat st;

	return !m->is_shared && m->is_writable && m->ino == l->file->st_ino &&
	       pt_mapping_stat(m, l->pid, &st) && st.st_dev == l->file->st_dev;
}

/* own_take adds up the process's own pages, as lines of smaps tell them. */
static int own_take(void *arg, const struct pt_mapping *m, const char *line)
{
	unsigned long long kib;
	struct look *l = arg;

	if ((sscanf(line, "Anonymous: %llu", &kib) == 1 ||
	     sscanf(line, "Private_Hugetlb: %llu", &kib) == 1) && is_of(l, m))
		l->own_sz += kib * KIB;
	return 0;
}

static __u64 own_sz(pid_t pid, const struct stat *file)
{
	struct look l = { .file = file, .pid = pid };
	int maps = pt_mappings_open(pid), smaps;

	if (maps < 0)
		return 0;
	smaps = pt_mappings_writable(maps, true, is_of, &l) == 1
		? pt_smaps_open(pid) : -1;
	if (smaps >= 0) {
		pt_smaps_each(smaps, own_take, &l);
		close(smaps);
	}
	close(maps);
	return l.own_sz;
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
		__u64 sz = own_sz(pid, &file);

		if (sz > out->own_sz)
			*out = (struct pt_private_mapper){ pid, sz };
	}
	pt_processes_close(&all);
}
