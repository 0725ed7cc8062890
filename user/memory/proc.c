// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/proc.h"

#include <dirent.h>
#include <errno.h>
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
