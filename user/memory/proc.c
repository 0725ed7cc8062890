// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/proc.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

long pt_proc_number(pid_t pid, const char *key)
{
	char path[64], line[256];
	long number = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	in = fopen(path, "re");
	if (!in)
		return -1;
	while (fgets(line, sizeof(line), in))
		if (!strncmp(line, key, strlen(key)))
			number = strtol(line + strlen(key), NULL, 10);
	fclose(in);
	return number;
}

bool pt_proc_thread_lives(pid_t pid, pid_t tid)
{
	char path[64], line[512];
	const char *name_end = NULL;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	in = fopen(path, "re");
	if (!in)
		return false;
	/* "TID (NAME) STATE ...", and NAME may hold anything */
	if (fgets(line, sizeof(line), in))
		name_end = strrchr(line, ')');
	fclose(in);
	return name_end && name_end[1] == ' ' &&
	       !strchr("ZXx", name_end[2]);
}

/* freezer_mount finds the mount point of version 1's freezer; an empty text:
 * none.  A line is "none POINT cgroup OPTIONS 0 0". */
static void freezer_mount(char point[PATH_MAX])
{
	FILE *in = setmntent("/proc/self/mounts", "re");
	char text[2 * PATH_MAX];
	struct mntent m;

	point[0] = '\0';
	while (in && !point[0] && getmntent_r(in, &m, text, sizeof(text)))
		if (!strcmp(m.mnt_type, "cgroup") && hasmntopt(&m, "freezer"))
			snprintf(point, PATH_MAX, "%s", m.mnt_dir);
	if (in)
		endmntent(in);
}

/* freezer_path finds the process's cgroup there; a line of /proc/PID/cgroup is
 * "6:freezer:/PATH". */
static void freezer_path(char cgroup[PATH_MAX], pid_t pid)
{
	static const char key[] = ":freezer:";
	char path[64], line[PATH_MAX + 64];
	FILE *in;

	cgroup[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in)) {
		const char *at = strstr(line, key);

		line[strcspn(line, "\n")] = '\0';
		if (at)
			snprintf(cgroup, PATH_MAX, "%.*s", PATH_MAX - 1,
				 at + strlen(key));
	}
	if (in)
		fclose(in);
}

bool pt_proc_is_frozen(pid_t pid)
{
	char point[PATH_MAX], cgroup[PATH_MAX], state[16] = "";
	char path[2 * PATH_MAX + 16];
	FILE *in;

	freezer_mount(point);
	freezer_path(cgroup, pid);
	if (!point[0] || !cgroup[0])
		return false;
	snprintf(path, sizeof(path), "%s%s/freezer.state", point, cgroup);
	in = fopen(path, "re");
	if (!in)
		return false;
	if (!fgets(state, sizeof(state), in))
		state[0] = '\0';
	fclose(in);
	return !strcmp(state, "FROZEN\n");
}

int pt_proc_threads(pid_t pid, int (*fn)(void *arg, pid_t tid), void *arg)
{
	const struct dirent *entry;
	char path[64];
	int code = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!code && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			code = fn(arg, strtol(entry->d_name, NULL, 10));
	closedir(dir);
	return code;
}
