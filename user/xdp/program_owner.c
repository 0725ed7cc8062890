/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which process a session of pinned maps belongs to.
 *
 * A process that uses pinned maps holds a lock file of the device, "oN", from
 * when it opens the program: after the line of its owner stand the ids of its
 * sessions, one a line.  A session that no living process names is dead.
 *
 * All of it works by descriptors opened at the start, so that the process can
 * have given up its privileges by the time its sessions come.
 */
#include "xdp/program_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/check.h>

#define OWNERS_MAX	PT_QUEUES_MAX	/* each has a queue */
#define ID_SZ		17		/* "%016llx\n" */
#define IDS_OFF		PT_LOCKFILE_LINE_SZ

static int open_maps_lock(struct pt_program *p, struct pt_error *err)
{
	char path[96];

	pt_lockfile_path(path, &p->device, "maps");
	p->maps_fd = pt_lockfile_open(path, err);
	return p->maps_fd < 0 ? p->maps_fd : 0;
}

int program_own(struct pt_program *p, struct pt_error *err)
{
	char path[96], tail[16];
	int ret = p->maps_fd < 0 ? open_maps_lock(p, err) : 0;

	if (ret || p->owner.fd >= 0)
		return ret;
	for (int i = 0; i < OWNERS_MAX; i++) {
		snprintf(tail, sizeof(tail), "o%d", i);
		pt_lockfile_path(path, &p->device, tail);
		ret = pt_lockfile_take(&p->owner, path, "receive", err);
		if (ret != -EBUSY)
			return ret;
	}
	return ret;
}

void program_disown(struct pt_program *p)
{
	if (p->owner.fd >= 0)
		pt_lockfile_release(&p->owner);
	if (p->maps_fd >= 0)
		close(p->maps_fd);
	p->maps_fd = -1;
}

int program_lock_maps(struct pt_program *p, struct pt_error *err)
{
	if (!p->info.pinned)
		return 0;
	pt_check(p->maps_fd >= 0);
	return pt_lockfile_lock(p->maps_fd, &p->device, err);
}

void program_unlock_maps(struct pt_program *p)
{
	if (p->info.pinned)
		pt_lockfile_unlock(p->maps_fd);
}

int program_own_sessions(struct pt_program *p)
{
	char *text = malloc(PT_SESSIONS_MAX * ID_SZ + 1);
	__u32 sz = 0;
	int ret = 0;

	if (!text)
		return -ENOMEM;
	for (__u32 i = 0; i < p->session_cnt; i++)
		sz += snprintf(text + sz, ID_SZ + 1, "%016llx\n",
			       (unsigned long long)p->sessions[i]);
	if (ftruncate(p->owner.fd, IDS_OFF) ||
	    pwrite(p->owner.fd, text, sz, IDS_OFF) != (ssize_t)sz)
		ret = errno ? -errno : -EIO;
	free(text);
	return ret;
}

/* take_ids adds the sessions that the lock file names. */
static void take_ids(struct program_living *living, int fd, pid_t pid)
{
	char line[ID_SZ + 1] = "";
	off_t off = IDS_OFF;

	for (; living->cnt < PT_SESSIONS_MAX &&
	       pread(fd, line, ID_SZ, off) == ID_SZ; off += ID_SZ) {
		struct program_owned *owned = &living->sessions[living->cnt++];

		owned->id = strtoull(line, NULL, 16);
		owned->pid = pid;
	}
}

void program_living(const struct pt_device *device,
		    struct program_living *living)
{
	struct pt_lockfile_owner owner;
	char path[96], tail[16];
	int fd;

	living->cnt = 0;
	for (int i = 0; i < OWNERS_MAX; i++) {
		snprintf(tail, sizeof(tail), "o%d", i);
		pt_lockfile_path(path, device, tail);
		fd = pt_lockfile_open_held(path, &owner);
		if (fd < 0)
			continue;
		take_ids(living, fd, owner.pid);
		close(fd);
	}
}

pid_t program_living_pid(const struct program_living *living, __u64 session_id)
{
	for (__u32 i = 0; i < living->cnt; i++)
		if (living->sessions[i].id == session_id)
			return living->sessions[i].pid;
	return 0;
}
