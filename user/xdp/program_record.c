/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* program_record: what pagetrim attach writes down of a device, in a file
 * NETNS-IFINDEX-attached: the id of the program that it pinned. */
#include "xdp/program_impl.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

static void record_path(char path[96], const struct pt_device *device)
{
	pt_lockfile_path(path, device, "attached");
}

__u32 program_recorded_id(const struct pt_device *device)
{
	char path[96];
	FILE *file;
	__u32 id;

	record_path(path, device);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%u", &id) != 1)
		id = 0;
	fclose(file);
	return id;
}

int program_record_write(const struct pt_device *device, __u32 id)
{
	char path[96];
	int fd, ret = 0;

	record_path(path, device);
	fd = pt_lockfile_open(path, NULL);
	if (fd < 0)
		return fd;
	if (ftruncate(fd, 0) || dprintf(fd, "%u\n", id) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* next_record fills in whose it is: netns_cookie and ifindex.  False: that was
 * the last one. */
static bool next_record(DIR *dir, struct pt_device *device)
{
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		unsigned long long cookie;
		char tail[10];

		if (sscanf(entry->d_name, "%llu-%u-%9s", &cookie,
			   &device->ifindex, tail) != 3 ||
		    strcmp(tail, "attached"))
			continue;
		device->netns_cookie = cookie;
		return true;
	}
	return false;
}

static bool program_exists(__u32 id)
{
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return errno != ENOENT;
	close(fd);
	return true;
}

void program_record_remove(const struct pt_device *device, __u32 id)
{
	DIR *dir = opendir(PT_LOCKFILE_DIR);
	struct pt_device of = { 0 };
	char path[96];
	__u32 recorded;

	record_path(path, device);
	unlink(path);
	if (!dir)
		return;
	while (next_record(dir, &of)) {
		recorded = program_recorded_id(&of);
		record_path(path, &of);
		if ((id && recorded == id) || !program_exists(recorded))
			unlink(path);
	}
	closedir(dir);
}

bool program_record_is_dead(const struct pt_device *device, __u32 id)
{
	DIR *dir = id ? opendir(PT_LOCKFILE_DIR) : NULL;
	struct pt_device of = { 0 };
	char name[IF_NAMESIZE];
	bool dead = !id;

	if (!dir)
		return dead;
	while (!dead && next_record(dir, &of))
		dead = of.netns_cookie == device->netns_cookie &&
		       program_recorded_id(&of) == id &&
		       (of.ifindex == device->ifindex ||
			!if_indextoname(of.ifindex, name));
	closedir(dir);
	return dead;
}
