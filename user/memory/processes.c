// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/processes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_PID_NS	0xEFFFFFFCU	/* inode of the first PID namespace */

int pt_processes_open(struct pt_processes *all, struct pt_error *err)
{
	all->dir = opendir("/proc");
	return all->dir ? 0 : pt_error_set(err, PT_EXIT_HOST, -errno,
					   "/proc: %s", strerror(errno));
}

pid_t pt_processes_next(struct pt_processes *all)
{
	const struct dirent *entry;

	while ((entry = readdir(all->dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
			pid_t pid = strtol(entry->d_name, NULL, 10);

			all->has_first |= pid == 1;
			return pid;
		}
	return 0;
}

void pt_processes_close(struct pt_processes *all)
{
	if (all->dir)
		closedir(all->dir);
}

bool pt_processes_are_all(const struct pt_processes *all)
{
	char self[32] = "";
	struct stat st;

	/* /proc may be another PID namespace's, and ours may have an outside.
	 * With hidepid, process 1 is hidden. */
	return readlink("/proc/self", self, sizeof(self) - 1) > 0 &&
	       strtol(self, NULL, 10) == getpid() && all->has_first &&
	       !stat("/proc/self/ns/pid", &st) && st.st_ino == FIRST_PID_NS;
}
