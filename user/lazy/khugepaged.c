/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lazy/khugepaged.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* is_chosen: the word in brackets. */
static bool is_chosen(const char *text, const char *word)
{
	const char *at = strchr(text, '[');

	return at && !strncmp(at + 1, word, strlen(word)) && at[1 + strlen(word)] == ']';
}

static bool is_mended(const char *release)
{
	unsigned int major = 0, minor = 0;

	sscanf(release, "%u.%u", &major, &minor);
	return major > 6 || (major == 6 && minor >= 4);
}

bool pt_khugepaged_fills(const char *release, const char *shmem_enabled, const char *huge)
{
	if (is_mended(release) || !shmem_enabled || is_chosen(shmem_enabled, "deny"))
		return false;
	if (is_chosen(shmem_enabled, "force"))
		return true;
	if (!huge)
		return !is_chosen(shmem_enabled, "never");
	return huge[0] && strcmp(huge, "never");
}

/* huge_of copies a line's option huge= to text, if the line is of that device: the options
 * of a file system are its last word. */
static bool huge_of(const char *line, dev_t dev, char text[16])
{
	unsigned int major_nr, minor_nr;
	const char *at = strrchr(line, ' ');

	if (sscanf(line, "%*d %*d %u:%u", &major_nr, &minor_nr) != 2 ||
	    major_nr != major(dev) || minor_nr != minor(dev))
		return false;
	at = at ? strstr(at, ",huge=") : NULL;
	if (at)
		sscanf(at, ",huge=%15[^,\n]", text);
	return true;
}

/* find_mount returns whether process pid has the device mounted. */
static bool find_mount(pid_t pid, dev_t dev, char text[16])
{
	char path[40], *line = NULL;
	bool is_found = false;
	size_t room = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	in = fopen(path, "re");
	while (in && !is_found && getline(&line, &room, in) > 0)
		is_found = huge_of(line, dev, text);
	free(line);
	if (in)
		fclose(in);
	return is_found;
}

int pt_khugepaged_check(int fd, pid_t pid, struct pt_error *err)
{
	char text[80] = "", huge[16] = "";
	struct utsname name = { 0 };
	struct statfs fs;
	struct stat st;
	bool is_mounted;
	FILE *in;

	if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC || fstat(fd, &st))
		return 0;
	uname(&name);
	in = fopen(SHMEM_ENABLED, "re");
	if (in && !fgets(text, sizeof(text), in))
		text[0] = '\0';
	is_mounted = find_mount(pid, st.st_dev, huge);
	if (in)
		fclose(in);
	if (!pt_khugepaged_fills(name.release, in ? text : NULL, is_mounted ? huge : NULL))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "Linux %s may fill pages that "
			    "have not come with zeroes, where it makes large pages of the "
			    "guest's memory (mount it without huge=, and write %s to %s; "
			    "or use Linux 6.4)", name.release,
			    is_chosen(text, "force") ? "deny" : "never", SHMEM_ENABLED);
}
