/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/occupant.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/maps.h>
#include "xdp/lease.h"
#include "xdp/program.h"

#define PROCESSES_MAX	65536	/* that are examined */
#define FDS_MAX		65536	/* per process */
#define DISPATCHER_NAME	"xdp_dispatcher"	/* libxdp's */

/* ---- holders of a link: /proc ---- */

/* link_of returns the number of the descriptor's link, 0: it is none. */
static __u32 link_of(const char *pid, const char *fd)
{
	char path[64], line[96] = "";
	__u32 id = 0;
	ssize_t sz;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", pid, fd);
	sz = readlink(path, line, sizeof(line) - 1);
	if (sz < 0 || strncmp(line, "anon_inode:bpf", 14))
		return 0;
	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd);
	info = fopen(path, "re");
	while (info && !id && fgets(line, sizeof(line), info))
		if (sscanf(line, "link_id: %u", &id) != 1)
			id = 0;
	if (info)
		fclose(info);
	return id;
}

static bool has_link(const char *pid, __u32 link_id)
{
	struct dirent *entry;
	bool has = false;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	for (int i = 0; dir && !has && i < FDS_MAX; i++) {
		entry = readdir(dir);
		if (!entry)
			break;
		has = isdigit(entry->d_name[0]) &&
		      link_of(pid, entry->d_name) == link_id;
	}
	if (dir)
		closedir(dir);
	return has;
}

static pid_t find_holder(__u32 link_id)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	for (int i = 0; dir && !found && i < PROCESSES_MAX; i++) {
		entry = readdir(dir);
		if (!entry)
			break;
		if (isdigit(entry->d_name[0]) &&
		    atoi(entry->d_name) != getpid() &&
		    has_link(entry->d_name, link_id))
			found = atoi(entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* find_link returns the number of the program's link, 0: none is reported. */
static __u32 find_link(const struct pt_device *device, __u32 prog_id)
{
	int fd = pt_hook_link(device->ifindex, prog_id);
	struct bpf_link_info info = { 0 };
	__u32 info_sz = sizeof(info);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_sz))
		info.id = 0;
	close(fd);
	return info.id;
}

/* read_command reads the kernel's name of the process, if it is plain text. */
static void read_command(struct pt_occupant *o)
{
	char path[32];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", o->pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(o->command, sizeof(o->command), file))
		o->command[0] = '\0';
	fclose(file);
	o->command[strcspn(o->command, "\n")] = '\0';
	for (char *c = o->command; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

/* ---- ours ---- */

static bool is_ours(const struct pt_occupant *o)
{
	return !strcmp(o->hook.name, PT_PROGRAM_NAME) ||
	       !strcmp(o->hook.name, PT_PASS_NAME);
}

/* find_lease finds another process whose use of the device fits that program:
 * the best hint at its owner. */
static void find_lease(struct pt_occupant *o, const struct pt_device *device)
{
	const char *role = strcmp(o->hook.name, PT_PASS_NAME) ? "receive"
							      : "send";
	struct pt_lease_owner owner;

	for (__u32 q = 0; q < PT_QUEUES_MAX; q++) {
		if (pt_lease_owner(device, q, &owner) <= 0 ||
		    owner.pid == getpid() || strcmp(owner.role, role))
			continue;
		o->pid = owner.pid;
		snprintf(o->command, sizeof(o->command), "pagetrim %.30s",
			 owner.role);
		return;
	}
}

void pt_occupant_find(struct pt_occupant *o, const struct pt_device *device)
{
	__u32 link_id;

	memset(o, 0, sizeof(*o));
	if (pt_hook_look(&o->hook, device->ifindex) || !o->hook.prog_id)
		return;
	link_id = find_link(device, o->hook.prog_id);
	o->by_link = link_id;
	if (is_ours(o))
		find_lease(o, device);
	if (o->pid || !link_id)
		return;
	o->pid = find_holder(link_id);
	if (o->pid)
		read_command(o);
}

/* ---- text ---- */

void pt_occupant_print(const struct pt_occupant *o, char *text, size_t sz)
{
	int used;

	if (!o->hook.prog_id) {
		snprintf(text, sz, "an XDP program that came and went");
		return;
	}
	used = snprintf(text, sz, "XDP program '%s' (id %u%s)",
			o->hook.name[0] ? o->hook.name : "?", o->hook.prog_id,
			o->hook.generic ? ", generic" : "");
	if (used < 0 || (size_t)used >= sz)
		return;
	if (o->pid)
		snprintf(text + used, sz - used, " of pid %d, %s", o->pid,
			 o->command[0] ? o->command : "?");
	else if (o->by_link)
		snprintf(text + used, sz - used, ", by a link that no process "
			 "in sight holds");
}

void pt_occupant_remedy(const struct pt_occupant *o, const char *dev,
			char *text, size_t sz)
{
	if (!o->hook.prog_id)
		snprintf(text, sz, "try again");
	else if (!strcmp(o->hook.name, DISPATCHER_NAME))
		pt_error_print(text, sz, "'pagetrim attach {--dev} %s' puts ours "
			       "beside it, if its programs and the kernel can",
			       dev);
	else if (!strcmp(o->hook.name, PT_PASS_NAME))
		pt_error_print(text, sz, "wait until that sender ends; without "
			       "{generic} both run on %s", dev);
	else if (!strcmp(o->hook.name, PT_PROGRAM_NAME))
		pt_error_print(text, sz, "wait until it ends, or use another "
			       "device; several receivers share one after "
			       "'pagetrim attach {--dev} %s'", dev);
	else if (o->pid)
		snprintf(text, sz, "use another device, or end pid %d if nobody "
			 "needs it", o->pid);
	else
		snprintf(text, sz, "use another device, or ask who attached it "
			 "whether it is needed: 'bpftool prog show id %u'",
			 o->hook.prog_id);
}
