/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The pins of pagetrim attach: their folder and their device.
 *
 * The folder has the device's name at the time of attaching.  The device may
 * since have been renamed or moved to another network namespace.  The program's
 * number identifies the device of the pins; if no device here runs it, the link
 * and the program's constants do. */
#include "xdp/program_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "xdp/lease.h"

static const char *const map_name[MAP_CNT] = {
#define X(SYMBOL, name, type, key_sz, value_sz) [MAP_##SYMBOL] = #name,
	PROGRAM_MAPS(X)
#undef X
};

const char *program_map_name(enum program_map map)
{
	return map_name[map];
}

static void path_in(char path[PT_PIN_PATH_SZ], const char *folder,
		    const char *name)
{
	snprintf(path, PT_PIN_PATH_SZ, "%.63s/%.31s", folder, name);
}

void pt_program_pin_path(char path[PT_PIN_PATH_SZ],
			 const struct pt_device *device, const char *name)
{
	int sz = snprintf(path, PT_PIN_PATH_SZ, "%s/%s%s%s", PT_PIN_ROOT,
			  device->name, name ? "/" : "", name ? name : "");

	for (int i = sizeof(PT_PIN_ROOT); i < sz; i++)
		if (path[i] == '.')
			path[i] = ':';
}

/* pinned_id returns the number of the folder's pinned program, 0 if there is
 * none, or -errno if it cannot be read. */
static __s64 pinned_id(const char *folder)
{
	struct bpf_prog_info info = { 0 };
	__u32 info_sz = sizeof(info);
	char path[PT_PIN_PATH_SZ];
	int fd, ret;

	path_in(path, folder, "prog");
	fd = program_open_pin(path, false);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	ret = bpf_obj_get_info_by_fd(fd, &info, &info_sz) ? -errno : 0;
	close(fd);
	return ret ? ret : (__s64)info.id;
}

/* open_holders opens the folder of the holders' directories: that of the pins,
 * or the one in it that is writable by others than root. */
static int open_holders(const char *folder)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char path[PT_PIN_PATH_SZ];
	int fd;

	path_in(path, folder, PROGRAM_HOLDERS);
	fd = open(path, flags);
	return fd < 0 && errno == ENOENT ? open(folder, flags) : fd;
}

/* is_pinned_in: p's program is pinned in the folder, which p then keeps. */
static bool is_pinned_in(struct pt_program *p, const char *folder)
{
	if (pinned_id(folder) != p->info.id)
		return false;
	p->pins_fd = open_holders(folder);
	if (p->pins_fd < 0)
		return false;
	snprintf(p->pins, sizeof(p->pins), "%s", folder);
	return true;
}

int program_find_pins(struct pt_program *p)
{
	char path[PT_PIN_PATH_SZ];
	struct dirent *entry;
	bool found;
	DIR *dir;

	if (!p->info.id)
		return -ENOENT;
	pt_program_pin_path(path, &p->device, NULL);
	found = is_pinned_in(p, path);
	dir = found ? NULL : opendir(PT_PIN_ROOT);
	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		path_in(path, PT_PIN_ROOT, entry->d_name);
		found = is_pinned_in(p, path);
	}
	if (dir)
		closedir(dir);
	return found ? 0 : -ENOENT;
}

/* link_device returns the number of the link's device, in any namespace; 0: it
 * is gone; -ENOENT: there is no link, as behind a dispatcher; else -errno: it
 * cannot be read. */
static int link_device(const char *folder)
{
	struct bpf_link_info info = { 0 };
	__u32 info_sz = sizeof(info);
	char path[PT_PIN_PATH_SZ];
	int fd, ret;

	path_in(path, folder, "link");
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_sz))
		ret = -errno;
	else
		ret = info.xdp.ifindex;
	close(fd);
	return ret;
}

/* runs: the device of that number runs program id here. */
static bool runs(__u32 ifindex, __u32 id, struct pt_device *device)
{
	struct pt_program *p;
	bool is_it;

	if (!ifindex || pt_device_open_index(device, ifindex, NULL))
		return false;
	p = program_new(device);
	if (!p)
		return false;
	program_find(p);
	is_it = p->info.id == id;
	program_free(p);
	return is_it;
}

/* constants_of returns the program's constants; all 0: it has none. */
static void constants_of(__u32 id, struct pt_constants *constants)
{
	struct pt_program *p = program_new(&(struct pt_device){ 0 });

	memset(constants, 0, sizeof(*constants));
	if (!p)
		return;
	program_take(p, id);
	*constants = p->constants;
	program_free(p);
}

/* recall_leases ends the grant of the leases of the device for which the program
 * in the folder was loaded. */
static void recall_leases(const char *folder)
{
	__s64 id = pinned_id(folder);
	struct pt_constants was;

	if (id <= 0)
		return;
	constants_of(id, &was);
	if (was.netns_cookie)
		pt_leases_recall(&(struct pt_device){
				 .ifindex = was.ifindex,
				 .netns_cookie = was.netns_cookie });
}

void program_remove_pins(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[PT_PIN_PATH_SZ];

	recall_leases(folder);
	if (fd >= 0) {
		program_remove_holders(fd, true);
		close(fd);
	}
	program_remove_grant(folder);
	path_in(path, folder, "link");
	unlink(path);
	path_in(path, folder, "prog");
	unlink(path);
	for (int i = 0; i < MAP_CNT; i++) {
		path_in(path, folder, map_name[i]);
		unlink(path);
	}
	rmdir(folder);
}

enum program_pins program_judge_pins(const char *folder,
				     struct pt_device *device)
{
	__s64 id = pinned_id(folder);
	int ifindex = link_device(folder);
	struct pt_constants was;
	__u64 netns_cookie = 0;

	if (access(folder, F_OK))
		return errno == ENOENT ? PINS_NONE : PINS_UNREAD;
	if (id < 0 || (ifindex < 0 && ifindex != -ENOENT))
		return PINS_UNREAD;
	if (!id || !ifindex)
		return PINS_DEAD;
	constants_of(id, &was);
	if (runs(ifindex > 0 ? (__u32)ifindex : was.ifindex, id, device))
		return PINS_HERE;
	/* A link identifies its device in any namespace; without a link the
	 * device is assumed to be in its old namespace, or gone. */
	if (ifindex < 0 && was.netns_cookie &&
	    !pt_device_netns_cookie(&netns_cookie) &&
	    was.netns_cookie == netns_cookie)
		return PINS_DEAD;
	return PINS_ELSEWHERE;
}

int pt_program_device(struct pt_device *out, const char *name,
		      struct pt_error *err)
{
	int ret = pt_device_open(out, name, err);
	struct pt_device old = { 0 }, now;
	char folder[PT_PIN_PATH_SZ];

	if (ret != -ENODEV || strlen(name) >= sizeof(old.name))
		return ret;
	snprintf(old.name, sizeof(old.name), "%s", name);
	pt_program_pin_path(folder, &old, NULL);
	switch (program_judge_pins(folder, &now)) {
	case PINS_NONE:
		return ret;
	case PINS_HERE:
		*out = now;
		return 0;
	default:
		*out = old;
		return 0;
	}
}
